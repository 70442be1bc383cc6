"""The threads that bring attempts to the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, cast

import pytest

from pydoit_sc.batch import Settings
from pydoit_sc.store import Finished, Outcome, Publisher, Staged, StoreError
from pydoit_sc.store.posix import PosixStore
from pydoit_sc.worker import stager
from pydoit_sc.worker.process import Processes
from pydoit_sc.worker.results import Limits
from pydoit_sc.worker.stager import Stager
from pydoit_sc.worker.starter import Environment
from tests.worker.test_health import execute, published


class Slow:
    """A store that stages nothing before it is told to."""

    stagers = 4

    def __init__(self) -> None:
        self.go = threading.Event()

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged]:
        self.go.wait()
        return [Staged(attempt, outcome=Outcome.PUBLISHED) for attempt in attempts]


def test_threads_are_started_as_they_are_needed() -> None:
    store = Slow()
    staging: Stager[int] = Stager(cast(Publisher, store), lambda: None)
    for number in range(10):
        staging.put(Finished(f"{number}", f"{number}", "", None), number)
        assert len(staging._threads) == min(number + 1, 4)
    store.go.set()
    staging.close()
    taken = [item for _, item in staging.take(10)]
    assert (sorted(taken), staging.pending) == ([*range(10)], 0)


class Counting(Processes):
    """Counts the runs that it starts."""

    spawned: ClassVar[list[str]] = []

    def spawn(self, words: tuple[str, ...], env: Environment, attempt: str, *outputs: str) -> int:
        self.spawned.append(attempt)
        return super().spawn(words, env, attempt, *outputs)


def test_no_run_starts_while_too_many_wait_for_a_slow_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stager, "MOST", 3)
    monkeypatch.setattr(Counting, "spawned", [])
    waiting: list[int] = []
    stage = PosixStore.stage

    def slow(self: PosixStore, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        before = -1
        while before < len(Counting.spawned):  # until no more are started
            before = len(Counting.spawned)
            time.sleep(0.3)
        waiting.append(before - len(published(tmp_path)))
        return stage(self, attempts)

    monkeypatch.setattr(PosixStore, "stage", slow)
    execute(tmp_path, ["true"] * 20, Limits(2), Settings(), Counting)
    assert len(published(tmp_path)) == 20
    assert max(waiting) < 3 + 2 + 2  # those that execute, and those that have just ended
