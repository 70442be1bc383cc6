"""The worker's loop, with processes and a clock of the test's own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.batch import Run, Settings
from pydoit_sc.errors import UserError
from pydoit_sc.ledger import Work
from pydoit_sc.store import Finished, HeldError, Outcome, Record
from pydoit_sc.store.holds import Holds
from pydoit_sc.store.posix import PosixStore
from pydoit_sc.worker import attempts as attempts_module
from pydoit_sc.worker import cgroup
from pydoit_sc.worker import executor as executor_module
from pydoit_sc.worker import supply as supply_module
from pydoit_sc.worker.attempts import Attempt, Attempts
from pydoit_sc.worker.control import Steering
from pydoit_sc.worker.disks import Disks
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.heldback import HOLD
from pydoit_sc.worker.results import Limits, Result
from tests.worker.fake_processes import Clock, FakeProcesses


@dataclass
class Loop:
    """An executor on a store of its own."""

    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.processes = FakeProcesses(self.clock)

    def executor(self, nprocs: int = 2, **limits: Any) -> Executor:
        store = PosixStore(str(self.folder), durable=False)
        return Executor(store, Limits(nprocs, **limits), processes=lambda _: self.processes)

    def run(self, executor: Executor, *commands: str, **settings: Any) -> list[Result]:
        shared = Settings(**settings)
        return self.run_each(executor, *((cmd, shared) for cmd in commands))

    def run_each(self, executor: Executor, *runs: tuple[str, Settings]) -> list[Result]:
        return list(self.start(executor, *runs))

    def start(self, executor: Executor, *runs: tuple[str, Settings]) -> Iterator[Result]:
        works = (
            Work(f"r:{n}", Run(str(n), cmd, str(n), settings), f"/o/{n}", "f")
            for n, (cmd, settings) in enumerate(runs)
        )
        return executor.run(works)

    def started(self) -> list[tuple[float, str, str]]:
        """Return when each command was started, and on which rank."""
        return [(when - 1000, cmd, env["SATURN_RUN_LOCAL_RANK"]) for cmd, env, when in self.processes.spawned]

    def codes(self, results: list[Result]) -> dict[str, int | None]:
        return {result.work.task: result.record and result.record.code for result in results}

    def said(self, key: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / str(key) / "run.json").read_text())
        return found


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = Loop(tmp_path)
    for module in (executor_module, attempts_module):
        monkeypatch.setattr(module, "time", made.clock)
    return made


def test_the_lowest_free_rank_comes_first(loop: Loop) -> None:
    executor = loop.executor(nprocs=2)
    loop.run(executor, "5 0", "1 0", "1 0", "1 0", "9 0")
    ranks = [env["SATURN_RUN_LOCAL_RANK"] for _, env, _ in loop.processes.spawned]
    assert ranks == ["0", "1", "1", "1", "1"]
    assert [when - 1000 for _, _, when in loop.processes.spawned] == [0, 0, 1, 2, 3]
    assert loop.processes.most_at_once == 2


def test_a_run_of_several_slots_holds_the_lowest_free_ranks_and_is_not_overtaken(loop: Loop) -> None:
    one, two = Settings(), Settings(slots=2)
    runs = [("4 0", one), ("1 0", one), ("6 0", two), ("1 1", one), ("1 0", two), ("2 0", one)]
    results = loop.run_each(loop.executor(nprocs=3), *runs)
    assert loop.started() == [
        (0, "4 0", "0"), (0, "1 0", "1"),  # rank 2 stays free: the next one needs two
        (1, "6 0", "1"),  # and 2
        (4, "1 1", "0"),
        (7, "1 0", "0"), (7, "2 0", "2"),  # rank 0 waits for another one to come free
    ]  # fmt: skip
    assert len(results) == 6
    assert loop.said(2)["rank"] == 1


def test_small_runs_do_not_starve_a_large_one(loop: Loop) -> None:
    small = [(f"{1 + n % 3} 0", Settings()) for n in range(40)]
    loop.run_each(loop.executor(nprocs=4), *small[:6], ("1 0 large", Settings(slots=4)), *small[6:])
    assert [cmd for _, cmd, _ in loop.started()][6] == "1 0 large"
    assert loop.started()[6][0] <= 6


def test_runs_that_are_held_ahead_keep_their_order(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on object stores, where a thread holds many runs at once."""
    monkeypatch.setattr(PosixStore, "window", 4)
    runs = [(f"1 0 {n}", Settings(slots=1 + n % 3)) for n in range(20)]
    results = loop.run_each(loop.executor(nprocs=3), *runs)
    assert [cmd for _, cmd, _ in loop.started()] == [cmd for cmd, _ in runs]
    assert len(results) == 20


def test_a_retry_keeps_its_slots(loop: Loop) -> None:
    runs = [("1 3", Settings(slots=2, retries=1)), ("1 0", Settings()), ("1 0", Settings())]
    loop.run_each(loop.executor(nprocs=2, gpus=["4", "7"]), *runs)
    assert loop.started() == [(0, "1 3", "0"), (1, "1 3", "0"), (2, "1 0", "0"), (2, "1 0", "1")]
    assert [env["CUDA_VISIBLE_DEVICES"] for _, env, _ in loop.processes.spawned] == [
        "4,7",
        "4,7",
        "4",
        "7",
    ]


def test_what_waits_for_slots_is_left_when_the_worker_is_stopped(loop: Loop) -> None:
    loop.processes.to_come = [(1001.0, signal.SIGTERM)]
    executor = loop.executor(nprocs=2)
    assert loop.run_each(executor, ("9 0", Settings()), ("1 0", Settings(slots=2))) == []
    assert (executor._attempts.count, executor.stopped_by, loop.clock.now) == (1, signal.SIGTERM, 1001)


def test_each_rank_sees_its_gpu(loop: Loop) -> None:
    loop.run(loop.executor(nprocs=2, gpus=["4", "7"]), "1 0", "1 0")
    assert [env["CUDA_VISIBLE_DEVICES"] for _, env, _ in loop.processes.spawned] == ["4", "7"]


def test_outcomes_are_published_with_their_codes(loop: Loop) -> None:
    executor = loop.executor()
    results = loop.run(executor, "1 0", "2 3")
    assert loop.codes(results) == {"r:0": 0, "r:1": 3}
    assert (loop.folder / "1" / "status_code").read_text() == "3"
    assert (loop.said(1)["seconds"], loop.said(1)["rank"]) == (2.0, 1)
    assert results[1].stderr_tail == b"stderr of 2 3"
    assert (executor.failures.count, executor.error, executor.stopped_by) == (1, "", 0)


def test_a_retry_keeps_its_rank_and_the_last_attempt_counts(loop: Loop) -> None:
    executor = loop.executor(nprocs=2)
    results = loop.run(executor, "1 3", "9 0", retries=2)
    assert [env["SATURN_RUN_LOCAL_RANK"] for _, env, _ in loop.processes.spawned] == ["0", "1", "0", "0"]
    assert loop.codes(results) == {"r:0": 3, "r:1": 0}
    assert loop.said(0)["retry_codes"] == [3, 3]
    assert (executor._attempts.count, executor.failures.count) == (4, 1)


@pytest.mark.parametrize("other", [None, Record(0, "w-1", "f")])
def test_a_retry_does_not_start_while_its_run_may_be_held_by_another_worker(
    loop: Loop, other: Record | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an object store that is away, or whose lease was ended: where the run is still ours, it begins anew."""
    peek, looks = PosixStore.peek, 0

    def away_once(self: PosixStore, key: str) -> Record | None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise HeldError("away")
        return peek(self, key) if looks == 1 else other

    monkeypatch.setattr(PosixStore, "peek", away_once)
    executor = loop.executor(nprocs=1)
    (result,) = loop.run(executor, "1 3", retries=1)
    if other:
        assert (result.record, result.executed, executor._attempts.count) == (other, False, 1)
    else:
        assert (result.record and result.record.code, executor._attempts.count) == (3, 3)
    assert len(executor._ranks) == 1


def test_of_what_is_retried_the_ends_are_kept(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "KEPT", 2)
    monkeypatch.setattr(attempts_module, "KEPT_END", 6)
    executor = loop.executor()
    loop.run(executor, "1 3", retries=3)
    history = loop.folder / ".pydoit_sc" / "history" / "0"
    kept = sorted(history.iterdir())
    assert [attempt.name.rpartition("-")[2] for attempt in kept] == [
        "1",
        "2",
    ]  # of four, and the last is published
    assert [(attempt / "stderr").read_text() for attempt in kept] == ["of 1 3"] * 2
    assert {path.name for path in kept[0].iterdir()} == {"stdout", "stderr", "run.json", "status_code"}
    assert executor.failures.count == 1


def test_a_history_that_cannot_be_written_ends_no_worker(loop: Loop) -> None:
    (loop.folder / ".pydoit_sc").mkdir()
    (loop.folder / ".pydoit_sc" / "history").write_text("no folder")
    executor = loop.executor()
    results = loop.run(executor, "1 3", "1 0", retries=1)
    assert loop.codes(results) == {"r:0": 3, "r:1": 0}
    assert (executor.error, executor._attempts.count) == ("", 3)


@pytest.mark.parametrize(("code", "attempts"), [(75, 3), (3, 1)])
def test_only_some_codes_are_worth_a_retry(loop: Loop, code: int, attempts: int) -> None:
    executor = loop.executor()
    loop.run(executor, f"1 {code}", retries=2, retry_on=frozenset({75}))
    assert executor._attempts.count == attempts


def test_a_timeout_is_sigterm_then_sigkill_after_the_grace(loop: Loop) -> None:
    results = loop.run(loop.executor(), "99 0 stubborn", "99 0", timeout=10.0, grace=5.0)
    sent = [(when - 1000, number, pid) for when, number, pid in loop.processes.sent]
    assert sent == [(10, signal.SIGTERM, 100), (10, signal.SIGTERM, 101), (15, signal.SIGKILL, 100)]
    assert loop.codes(results) == {"r:0": 137, "r:1": 143}
    assert loop.said(0)["timed_out"]


def test_a_run_that_grows_over_its_memory_is_killed(loop: Loop) -> None:
    loop.processes.memory = {"2 0": [1, 2, 3, 4], "9 0": [10_000_000, 10_000_001]}
    results = loop.run(loop.executor(), "2 0", "9 0", memory=10_000_000)
    assert [(when - 1000, number, pid) for when, number, pid in loop.processes.sent] == [
        (1, signal.SIGKILL, 101)
    ]
    assert loop.codes(results) == {"r:0": 0, "r:1": 137}
    assert loop.said(1)["reason"] == "used more than 10 MB of memory"


def test_a_retry_may_follow_a_run_that_was_too_large(loop: Loop) -> None:
    loop.processes.memory = {"1.2 0": [20_000_000, 1, 1]}
    results = loop.run(loop.executor(), "1.2 0", memory=10_000_000, retries=1, retry_on=frozenset({137}))
    assert loop.codes(results) == {"r:0": 0}
    assert loop.said(0)["retry_codes"] == [137]


def test_nobody_looks_at_runs_without_a_limit(loop: Loop) -> None:
    loop.run_each(loop.executor(nprocs=1), ("0.2 0", Settings(memory=10_000_000)), ("9 0", Settings()))
    assert loop.processes.memory == {}  # a look at the second one would be an error


GB = 1_000_000_000


def _free(loop: Loop, monkeypatch: pytest.MonkeyPatch, available: Callable[[float], float]) -> None:
    """Let so much memory be available of 8 GB, by the seconds that have gone."""
    monkeypatch.setattr(cgroup, "memory", lambda: cgroup.Memory(8 * GB, available(loop.clock.now - 1000)))


def test_nothing_starts_while_too_little_memory_is_available(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free(loop, monkeypatch, lambda now: 3 * GB if now < 1 or now >= 7.5 else 1.5 * GB)
    executor, told = loop.executor(nprocs=2, min_free_memory=2 * GB), list[str]()
    executor.tell = told.append
    results = loop.run(executor, "1.5 0", "2 0", "1 0", "1 0")
    assert [when for when, _, _ in loop.started()] == [0, 0, 8, 8]
    assert len(results) == 4
    assert told == ["waiting for memory: 1.5 GB available, `min_free_memory` is 2 GB"]


def test_a_stop_signal_ends_the_waiting_for_memory(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    _free(loop, monkeypatch, lambda _: GB)
    loop.processes.to_come = [(1009.5, signal.SIGTERM)]
    executor = loop.executor(min_free_memory=2 * GB)
    assert loop.run(executor, "1 0", "1 0") == []
    assert (executor._attempts.count, executor.stopped_by) == (0, signal.SIGTERM)


def test_more_free_memory_than_the_machine_has_is_an_error(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free(loop, monkeypatch, lambda _: GB)
    with pytest.raises(UserError, match="at most 8 GB, the memory of this machine, found 9 GB"):
        loop.run(loop.executor(min_free_memory=9 * GB), "1 0")


def test_success_that_had_to_be_told_to_stop_is_none(loop: Loop) -> None:
    loop.run(loop.executor(), "12 0 stubborn", timeout=10.0, grace=5.0)
    assert loop.said(0)["status_code"] == 124


def test_a_run_that_died_of_a_stop_signal_is_held_back(loop: Loop) -> None:
    """The signal may be for all processes of the machine: the worker hears of it a moment later."""
    loop.processes.to_come = [(1001.5, signal.SIGTERM)]
    executor = loop.executor()
    assert loop.run(executor, "1 143", "9 0") == []
    assert executor.stopped_by == signal.SIGTERM
    assert not (loop.folder / "0").exists()


def test_a_run_that_kills_itself_is_published_after_the_hold(loop: Loop) -> None:
    executor = loop.executor()
    results = loop.run(executor, "1 143")
    assert loop.codes(results) == {"r:0": 143}
    assert loop.clock.now >= 1001 + HOLD


def test_a_second_signal_does_not_wait_for_the_grace(loop: Loop) -> None:
    loop.processes.to_come = [(1001.0, signal.SIGINT), (1002.0, signal.SIGINT)]
    executor = loop.executor()
    assert loop.run(executor, "99 0 stubborn", "1 0", "1 0", grace=50.0) != []
    assert [(when - 1000, number) for when, number, _ in loop.processes.sent] == [
        (1, signal.SIGTERM),
        (2, signal.SIGKILL),
    ]
    assert executor.stopped_by == signal.SIGINT


def test_what_ended_before_a_signal_is_published(loop: Loop) -> None:
    loop.processes.to_come = [(1001.0, signal.SIGTERM)]
    assert loop.codes(loop.run(loop.executor(), "1 0", "9 0")) == {"r:0": 0}


def test_no_run_starts_after_too_many_failures(loop: Loop) -> None:
    executor = loop.executor(nprocs=1, max_failures=2)
    results = loop.run(executor, "1 1", "1 0", "1 1", "1 0")
    assert loop.codes(results) == {"r:0": 1, "r:1": 0, "r:2": 1}
    assert executor.failures.too_many


def test_no_run_starts_that_would_outlast_the_machine(loop: Loop) -> None:
    executor = loop.executor(nprocs=1, ends_at=loop.clock.time() + 12)
    results = loop.run(executor, "5 0", "5 0", "5 0")
    assert loop.codes(results) == {"r:0": 0, "r:1": 0}
    assert executor.out_of_time


def test_a_full_disk_drops_what_is_executing(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    full: Callable[[object], str] = lambda _: "/d: the disk is full" if loop.clock.now >= 1003 else ""  # noqa: E731
    monkeypatch.setattr(Disks, "full", full)
    executor = loop.executor(nprocs=2)
    assert loop.codes(loop.run(executor, "1 0", "9 0", "9 0")) == {"r:0": 0}
    assert "the disk is full; what was executing is incomplete" in executor.error
    assert not (loop.folder / "1").exists()


def test_a_write_that_finds_a_disk_full_says_so(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's own write may be the first to meet it; its error names no disk, so the disks are looked at."""
    tried: list[int] = []

    def no_space(*_: object, **__: object) -> None:
        tried.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Disks, "full", lambda _: "/d: the disk is full" if tried else "")
    monkeypatch.setattr(Attempts, "_conclude", no_space)
    executor = loop.executor()
    assert loop.run(executor, "1 0") == []
    assert executor.error.startswith("/d: the disk is full; what was executing is incomplete")


def test_an_attempt_never_writes_into_a_folder_that_a_run_has_planted(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: object) -> None:
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(Attempt, "make_folders", taken)
    executor = loop.executor()
    assert (loop.run(executor, "1 0"), loop.processes.spawned) == ([], [])
    assert executor.error.endswith("runs have taken 100 names for attempts")


def test_a_quota_that_is_used_up_is_told_with_its_place(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_quota(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Attempts, "_conclude", no_quota)
    executor = loop.executor()
    assert loop.run(executor, "1 0", "9 0") == []
    assert executor.error.startswith(f"cannot write a run's output in {loop.folder}/.pydoit_sc/attempts/")
    assert executor.error.endswith(": Disk quota exceeded")
    assert loop.processes.sent[0][1] == signal.SIGTERM  # what is executing may have been cut


def test_a_run_that_another_worker_has_completed_is_not_started(loop: Loop) -> None:
    loop.run(loop.executor(), "1 0")
    results = loop.run(loop.executor(), "1 0")
    assert [(result.executed, result.record and result.record.code) for result in results] == [(False, 0)]
    assert len(loop.processes.spawned) == 1


@pytest.mark.parametrize("readable", [True, False])
def test_a_run_that_another_worker_has_seen_fail_comes_with_what_it_said(loop: Loop, readable: bool) -> None:
    loop.run(loop.executor(), "1 3")
    if not readable:
        stderr = loop.folder / "0" / "stderr"
        stderr.unlink()
        stderr.symlink_to("/etc/passwd")
    executor = loop.executor()
    (result,) = loop.run(executor, "1 3")
    assert (result.executed, result.record and result.record.code, executor.error) == (False, 3, "")
    assert result.stderr_tail == (b"stderr of 1 3" if readable else None)


@pytest.mark.parametrize(("dead", "code"), [(2, 0), (3, 125)])
def test_a_run_that_kills_its_workers_is_given_up(loop: Loop, dead: int, code: int) -> None:
    """With its reason, and without a retry."""
    holds = loop.folder / ".pydoit_sc/holds"
    holds.mkdir(parents=True)
    os.symlink(f"dead+{dead - 1}", Holds(str(holds), "")._path("0"))
    results = loop.run(loop.executor(), "1 0", "1 0", retries=2)
    assert loop.codes(results) == {"r:0": code, "r:1": 0}
    if code:
        assert loop.said(0)["reason"] == "3 workers died while they executed it"
        assert loop.said(0)["retry_codes"] == []
    assert len(loop.processes.spawned) == (1 if code else 2)
    assert os.listdir(holds) == []


def test_a_run_whose_place_is_taken_meanwhile_is_not_published_and_all_others_go_on(loop: Loop) -> None:
    executor, works = loop.executor(nprocs=1), []
    for result in loop.start(executor, *[("1 0", Settings())] * 3):
        (loop.folder / "1" / "notes").mkdir(parents=True, exist_ok=True)
        works.append(result)
    assert loop.codes(works) == {"r:0": 0, "r:1": None, "r:2": 0}
    assert "has `notes`, which is of no run" in works[1].error
    assert (executor.error, os.listdir(loop.folder / "1")) == ("", ["notes"])


def test_an_outcome_of_another_command_is_not_taken_for_this_ones(loop: Loop) -> None:
    """Two `run` with an edit between: what the first has published since the second planned is replaced."""
    for fingerprint in ("before", "after", "after"):
        work = Work("r:0", Run("0", "1 0", "0", Settings()), "/o/0", fingerprint)
        executor = loop.executor()
        (result,) = executor.run(iter([work]))
        assert (executor.error, result.record and result.record.fingerprint) == ("", fingerprint)
    assert len(loop.processes.spawned) == 2
    assert loop.said(0)["fingerprint"] == "after"


def test_the_loop_waits_while_nothing_is_ready(loop: Loop) -> None:
    """`None` stands for runs that wait for the end of others: here, the second for the first."""
    settings = Settings()
    done: list[str] = []

    def works() -> Any:
        yield Work("r:0", Run("0", "3 0", "0", settings), "/o/0", "f")
        while not done:
            yield None
        yield Work("r:1", Run("1", "1 0", "1", settings), "/o/1", "f")

    for result in loop.executor(nprocs=2).run(works()):
        done += [result.work.task]
    assert done == ["r:0", "r:1"]
    assert loop.processes.most_at_once == 1


def test_what_the_worker_lacks_is_no_outcome(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_: object) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(loop.processes, "spawn", no_process)
    executor = loop.executor()
    assert loop.run(executor, "1 0", "1 0") == []  # the worker has no outcome to tell, but why it gives up
    assert executor.error == "cannot start a run: Resource temporarily unavailable"
    assert not (loop.folder / "0").exists()


class Ordered:
    """Takes the place of Control: orders by the time from which they hold."""

    def __init__(self, clock: Clock, orders: dict[int, Steering]) -> None:
        self.clock, self.orders = clock, orders

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def order(self) -> Steering:
        return self.orders[max(when for when in self.orders if when <= self.clock.now - 1000)]


def test_fewer_runs_at_once_and_more_again(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = {0: Steering(), 1: Steering(1), 6: Steering(3), 7: Steering()}
    monkeypatch.setattr(executor_module, "Control", lambda *_: Ordered(loop.clock, orders))
    loop.run(loop.executor(nprocs=2), "2 0 a", "3 0 b", "2 0 c", "1 0 d", "9 0 e", "1 0 f", "1 0 g", "1 0 h")
    assert loop.started() == [
        (0, "2 0 a", "0"), (0, "3 0 b", "1"),
        (3, "2 0 c", "0"),  # a has ended at 2, but one alone is enough
        (5, "1 0 d", "0"),
        (6, "9 0 e", "0"), (6, "1 0 f", "1"), (6, "1 0 g", "2"),
        (7, "1 0 h", "1"),  # and two again
    ]  # fmt: skip


def test_a_run_of_more_slots_than_are_ordered_is_executed_alone(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = {0: Steering(), 1: Steering(1)}
    monkeypatch.setattr(executor_module, "Control", lambda *_: Ordered(loop.clock, orders))
    one, three = Settings(), Settings(slots=3)
    loop.run_each(loop.executor(nprocs=3), ("2 0 a", one), ("4 0 b", one), ("1 0 c", three), ("1 0 d", one))
    assert loop.started() == [(0, "2 0 a", "0"), (0, "4 0 b", "1"), (4, "1 0 c", "0"), (5, "1 0 d", "0")]


def test_no_order_gives_a_run_a_gpu_that_is_not_there(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "Control", lambda *_: Ordered(loop.clock, {0: Steering(9)}))
    executor = loop.executor(nprocs=2, gpus=["4", "7"])
    loop.run(executor, "1 0", "1 0", "1 0")
    assert loop.processes.most_at_once == 2


def test_runs_held_ahead_are_given_back_while_long_ones_execute(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on object stores; another worker may take them meanwhile."""
    monkeypatch.setattr(PosixStore, "window", 64)
    monkeypatch.setattr(supply_module, "time", loop.clock)
    released: dict[str, float] = {}
    release = PosixStore.release

    def note(store: PosixStore, key: str) -> None:
        released.setdefault(key, loop.clock.now - 1000)
        release(store, key)

    monkeypatch.setattr(PosixStore, "release", note)
    runs = [(f"{0.01 if n < 60 else 60} 0 {n}", Settings()) for n in range(80)]
    results = loop.run_each(loop.executor(nprocs=2), *runs)
    assert len(results) == 80
    started = {cmd.split()[2]: when for when, cmd, _ in loop.started()}
    early = [key for key, when in released.items() if when < started[key]]
    assert early
    assert min(started[key] for key in early) > 60


def test_a_commit_that_fails_mixes_nothing_on_a_scratch_disk(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One error that passes; then another run removes what was staged, and the scratch copy is staged again."""
    commit, scratch = PosixStore._commit, tmp_path_factory.mktemp("scratch")
    failures: list[OSError | None] = [OSError(errno.EIO, "broken"), None]

    def break_one(store: PosixStore, attempt: Finished, folder: str) -> Outcome:
        if failures:
            if (error := failures.pop(0)) is not None:
                raise error
            shutil.rmtree(folder)
        return commit(store, attempt, folder)

    monkeypatch.setattr(PosixStore, "_commit", break_one)
    executor = loop.executor(scratch=str(scratch))
    assert loop.codes(loop.run(executor, "1 0")) == {"r:0": None}
    assert executor.error == f"cannot publish a run: {loop.folder}: broken"
    assert not (loop.folder / "0").exists()
    assert loop.codes(loop.run(loop.executor(scratch=str(scratch)), "1 0")) == {"r:0": 0}
    assert (loop.folder / "0/stderr").read_text() == "stderr of 1 0"
    assert not (failures or os.listdir(scratch))


def test_a_run_is_held_when_it_starts(loop: Loop) -> None:
    """A hold that a dead worker leaves counts as a death of its run: one that only waited has none."""
    held: dict[float, int] = {}
    executor = loop.executor(nprocs=2)
    holds = loop.folder / ".pydoit_sc/holds"
    executor.show = lambda _live: held.update({loop.clock.now - 1000: len(os.listdir(holds))})
    loop.run_each(executor, ("5 0", Settings()), ("1 0", Settings(slots=2)))
    assert {count for when, count in held.items() if when < 5} == {1}


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN, errno.ENOMEM])
def test_a_file_system_that_fails_is_no_failure_of_a_run(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Attempts, "_sizes", fail)
    executor = loop.executor()
    assert loop.run(executor, "1 0") == []
    assert executor.error.endswith(os.strerror(number))
    assert not (loop.folder / "0").exists()


def test_a_run_that_is_cancelled_while_it_is_held_back_is_not_published(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = {0: Steering(), 1: Steering(cancelled=frozenset("0"))}
    monkeypatch.setattr(executor_module, "Control", lambda *_: Ordered(loop.clock, orders))
    results = loop.run(loop.executor(), "1 143", "3 0", retries=5)
    assert loop.codes(results) == {"r:1": 0}
    assert len(loop.processes.spawned) == 2
    assert os.listdir(loop.folder / ".pydoit_sc/holds") == []
