"""What a worker starts next, on a store where to hold runs takes a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import cast

import pytest

from pydoit_sc.batch import Run, Settings
from pydoit_sc.ledger import Work
from pydoit_sc.store import HeldError, Publisher, StoreError
from pydoit_sc.worker import supply as supply_module
from pydoit_sc.worker.supply import OuterRunError, Supply
from tests.worker.fake_processes import Clock

RANKS = 4


class Far:
    """A store that answers who holds what when it is told to."""

    window = 256

    def __init__(self) -> None:
        self.asked: list[int] = []  # how many runs, each time
        self.released: list[str] = []
        self.go = threading.Event()
        self.go.set()

        self.held = ""  # the key of a run that another worker executes

    def hold(self, worker: str, keys: Sequence[str]) -> Mapping[str, int | StoreError]:
        self.asked.append(len(keys))
        self.go.wait()
        return {key: HeldError("worker v on h executes it") if key == self.held else 0 for key in keys}

    def peek(self, key: str) -> None:
        pass

    def release(self, key: str) -> None:
        self.released.append(key)


class Queue:
    """A supply of runs for ranks, and the store that it asks."""

    def __init__(self, runs: int, pauses: int = 0) -> None:
        self.store, self.woken = Far(), threading.Event()
        self.started: list[str] = []
        settings = Settings()
        works = (Work(f"r:{n}", Run(str(n), "true", str(n), settings), f"/o/{n}", "f") for n in range(runs))
        self.supply = Supply(
            chain([None] * pauses, works),
            cast(Publisher, self.store),
            "w",
            lambda text: None,
            self.woken.set,
            RANKS,
        )

    def start(self, count: int) -> None:
        """Start so many runs, none of which has to wait for more than this test's own threads."""
        for _ in range(count):
            while (work := self.supply.next()) is None:
                assert self.woken.wait(5)
                self.woken.clear()
            self.supply.take(work)
            self.started.append(work.run.key)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(supply_module, "time", clock)
    return clock


def asked(queue: Queue, times: int) -> list[int]:
    until = time.monotonic() + 5
    while len(queue.store.asked) < times and time.monotonic() < until:
        time.sleep(0.001)
    return queue.store.asked


def test_no_short_run_waits_for_the_store(clock: Clock) -> None:
    queue = Queue(100)
    queue.start(RANKS)  # at once: what is started at first says nothing of how long runs take
    queue.store.go.clear()
    assert queue.store.asked == [8]
    queue.start(4)  # as some have ended; the next ones are asked for with the first of these
    assert asked(queue, 2) == [8, 16]
    assert queue.supply.next() is None, "the store has not answered yet"
    queue.store.go.set()
    queue.start(16)
    assert asked(queue, 3) == [8, 16, 32]


def test_long_runs_are_not_held_before_a_rank_is_free(clock: Clock) -> None:
    queue = Queue(100)
    queue.start(RANKS)
    clock.now += 60
    queue.start(4)
    time.sleep(0.05)
    assert queue.store.asked == [8]
    queue.start(1)
    assert asked(queue, 2) == [8, 8], "and no more of them at once"


def test_long_runs_that_were_taken_for_short_ones_are_given_back(clock: Clock) -> None:
    """Such as those of a stage after one of short ones."""
    queue = Queue(600)
    queue.start(RANKS)
    for _ in range(60):
        queue.start(4)
        queue.supply.give_back()
    assert queue.store.asked == [8, 16, 32, 64, 128, 256]
    assert queue.store.released == []
    started = RANKS + 60 * 4
    clock.now += 9
    queue.supply.give_back()
    assert queue.store.released == []
    clock.now += 1
    work = queue.supply.next()  # which has no room now
    assert work
    queue.supply.keep(work, None)
    queue.supply.give_back()
    last = sum(queue.store.asked) - 1
    assert queue.store.released == [str(n) for n in range(last, started + RANKS - 1, -1)]
    assert queue.store.asked[6:] == []
    queue.start(600 - started)
    assert queue.started == [str(n) for n in range(600)]


def test_to_wait_for_earlier_runs_says_nothing_of_how_long_others_take() -> None:
    queue = Queue(100, pauses=9)
    for _ in range(9):
        assert queue.supply.next() is None
    queue.start(1)
    assert queue.store.asked == [8]


def test_all_runs_are_given_out_once() -> None:
    queue = Queue(100)
    queue.start(100)
    with pytest.raises(StopIteration):
        queue.supply.next()
    assert sum(queue.store.asked) == 100


def test_a_run_that_executes_this_program_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(4)
    queue.store.held = "2"
    monkeypatch.setenv("SATURN_RUN_REMOTE_OUTPUT_PATH", "/o/2")
    queue.start(2)
    with pytest.raises(OuterRunError, match="it has started or submitted this worker itself"):
        queue.start(1)
    queue.start(1)
    assert queue.started == ["0", "1", "3"]
    assert not queue.supply.is_waiting
