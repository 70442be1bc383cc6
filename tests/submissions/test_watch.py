"""Watching a submission: its runs from the store, its jobs from the engine."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from pydoit_sc.batch import Batch, Run, Settings
from pydoit_sc.engines.base import EngineError, Handed, JobState, State
from pydoit_sc.engines.local import Local
from pydoit_sc.ledger import Work
from pydoit_sc.outcomes.failures import Failures
from pydoit_sc.show.bars import PlainBar
from pydoit_sc.show.progress import Progress
from pydoit_sc.store import Live, Record, Store, open_store
from pydoit_sc.submissions.watch import Jobs, Runs, Watch

HANDED = Handed("s", Batch("b", Path("/b.toml"), "file:///out", ()), "/s", ["j"])
OLD = Record(0, "old", "1-0-0-0")
WORK = Work("a:1", Run("1", "a", "a/1", Settings()), "file:///out/a/1", "2-0-0-0", OLD)


@pytest.mark.parametrize(
    ("record", "always", "last", "ended"),
    [
        (OLD, False, False, False),  # stale, and not executed yet
        (Record(1, "new", "2-0-0-0"), False, False, True),
        (Record(0, "new", "2-0-0-0"), False, False, True),
        (Record(0, "", ""), False, False, True),
    ],
)
def test_when_a_run_has_ended(record: Record, always: bool, last: bool, ended: bool) -> None:
    assert Runs([WORK], always).ended(WORK, record, last=last) is ended


def test_an_outcome_of_sc_cannot_be_told_from_the_one_before() -> None:
    failed = Record(1, "", "")
    work = WORK._replace(known=failed)
    assert not Runs([work], False).ended(work, failed, last=False)
    assert Runs([work], False).ended(work, failed, last=True)
    good = WORK._replace(known=Record(0, "", ""))
    assert Runs([good], False).ended(good, Record(0, "", ""), last=False)
    assert not Runs([good], True).ended(good, Record(0, "", ""), last=False)


def test_a_run_that_waits_for_others_is_not_current_before_they_are_published() -> None:
    work = WORK._replace(known=Record(0, "old", WORK.fingerprint))
    assert Runs([work], False).ended(work, Record(0, "old", WORK.fingerprint), last=False)
    later = Runs([work], False, {work.run.key})
    assert not later.ended(work, Record(0, "old", WORK.fingerprint), last=False)
    assert later.ended(work, Record(0, "new", "2-0-0-1"), last=False)


class Answers(Local):
    """An engine that gives these answers, one after the other; None: it does not answer."""

    def __init__(self, *answers: State | None) -> None:
        self.answers = list(answers)

    def poll(self, handed: Sequence[Handed]) -> Mapping[str, JobState]:
        answer = self.answers.pop(0)
        if answer is None:
            raise EngineError("no answer")
        return {job: JobState(answer, "why") for one in handed for job in one.jobs}


class Outcomes:
    """A store that has one more outcome at each look."""

    stagers = 1

    def __init__(self, *records: Mapping[str, Record]) -> None:
        self.records = list(records)

    def scan(self, keys: Any) -> Mapping[str, Record]:
        found = self.records.pop(0) if len(self.records) > 1 else self.records[0]
        return {key: record for key, record in found.items() if key in keys}

    def running(self) -> Mapping[str, Any]:
        return {}

    def tail(self, key: str, file: str, at_most: int) -> bytes:
        return b"sh: 1: x: not found\n"


class Lines:
    """A progress bar that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.end: tuple[int, int, int] | None = None

    def update(self, progress: Progress) -> None:
        pass

    def line(self, text: str) -> None:
        self.lines.append(text)

    def close(self, progress: Progress) -> None:
        counts = progress.counts()
        self.end = (counts.completed, counts.failed, counts.not_executed)


def watched(
    engine: Answers, *records: Mapping[str, Record], works: Sequence[Work] = (WORK,)
) -> tuple[Watch, Lines]:
    bar = Lines()
    store = cast(Store, Outcomes(*records))
    return Watch(store, Runs(works, False), Jobs(engine, HANDED), bar, Failures(None)), bar


def test_until_all_runs_have_ended() -> None:
    watch, bar = watched(
        Answers(*[State.RUNNING] * 9), {}, {"a/1": OLD}, {"a/1": Record(3, "new", "2-0-0-0")}
    )
    watch.until_ended(sleep=lambda _: None)
    assert (watch.left, watch.progress.failed) == ({}, 1)
    assert bar.lines == ["failed a:1: status code 3\n    sh: 1: x: not found"]
    watch.close(lambda *words: " ".join(words))
    assert len(bar.lines) == 1  # one failure has been told


def test_until_the_jobs_have_ended_too() -> None:
    watch, _ = watched(Answers(State.RUNNING, State.RUNNING, State.ENDED), {})
    watch._jobs._next = math.inf  # as if it had not been asked for long: the runs took hours
    watch.until_idle(10.0)
    assert not watch._jobs.states.under_way
    watch, _ = watched(Answers(*[State.RUNNING] * 9), {})
    watch.until_idle(10.0, sleep=lambda _: None)  # its engine takes long
    assert watch._jobs.states.under_way


def test_failures_are_told_by_kind() -> None:
    works = [WORK._replace(task=f"a:{n}", run=WORK.run._replace(key=f"a/{n}"), known=None) for n in range(9)]
    failed = {f"a/{n}": Record(3 if n < 6 else 137, f"w-{n}", "2-0-0-0") for n in range(9)}
    watch, bar = watched(Answers(*[State.RUNNING] * 9), {"a/0": failed["a/0"]}, failed, works=works)
    watch.until_ended(sleep=lambda _: None)
    watch.close(lambda *words: " ".join(words))
    assert bar.lines == [
        "failed a:0: status code 3\n    sh: 1: x: not found",
        "failed a:6: status code 137 (128 + SIGKILL)\n    sh: 1: x: not found",
        "6 × exit 3                    sh: 1: x: not found  e.g. a:0  run --like a:0",
        "3 × exit 137 (128 + SIGKILL)  sh: 1: x: not found  e.g. a:6  run --like a:6",
    ]


def test_stderr_of_many_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydoit_sc.submissions.watch.READ", 5)
    works = [WORK._replace(task=f"a:{n}", run=WORK.run._replace(key=f"a/{n}"), known=None) for n in range(9)]
    failed = {f"a/{n}": Record(3, f"w-{n}", "2-0-0-0") for n in range(9)}
    watch, bar = watched(Answers(*[State.RUNNING] * 9), {"a/0": failed["a/0"]}, failed, works=works)
    watch.until_ended(sleep=lambda _: None)
    watch.close(lambda *words: " ".join(words))
    assert [line.split("  e.g.")[0].rstrip() for line in bar.lines[-2:]] == [
        "5 × exit 3  sh: 1: x: not found",
        "4 × exit 3  (stderr not read)",
    ]


def test_it_ends_where_the_first_runs_fail_alike() -> None:
    works = [WORK._replace(task=f"a:{n}", run=WORK.run._replace(key=f"a/{n}"), known=None) for n in range(30)]
    failed = {work.run.key: Record(127, work.run.name, "2-0-0-0") for work in works[:25]}
    watch, _ = watched(Answers(*[State.RUNNING] * 9), {}, failed, works=works)
    watch.until_ended(sleep=lambda _: None)
    assert len(watch.left) == 5
    assert (
        "20 runs failed in the same way and none has completed: command not found (127), `sh: 1: x: not found`;"
        in watch.failures.why()
    )


def test_jobs_that_end_without_their_runs() -> None:
    watch, _ = watched(Answers(State.ENDED), {"a/1": OLD})
    watch.until_ended(sleep=lambda _: None)
    assert list(watch.left) == ["a/1"]


@pytest.mark.parametrize(("after", "not_executed"), [(State.RUNNING, 0), (State.ENDED, 1)])
def test_what_goes_on_is_not_counted_as_not_executed(after: State, not_executed: int) -> None:
    """A user who waits no longer is not told that the rest is not executed, while the jobs go on."""
    works = [WORK, WORK._replace(task="a:2", run=WORK.run._replace(key="a/2"))]
    watch, bar = watched(Answers(after), {"a/1": Record(0, "new", "2-0-0-0")}, works=works)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        watch.until_ended(sleep=interrupted)
    watch.close(lambda *words: " ".join(words))
    assert bar.end == (1, 0, not_executed)


@pytest.mark.parametrize("since", [-math.inf, -1e300])
def test_a_moment_that_anybody_may_have_written_ends_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since: float
) -> None:
    monkeypatch.setattr("pydoit_sc.show.bars.EVERY", 0.0)
    store, told = open_store(str(tmp_path), {}, durable=False), io.StringIO()
    jobs = Jobs(Answers(State.RUNNING, State.ENDED), HANDED)
    watch = Watch(store, Runs([WORK], False), jobs, PlainBar(told), Failures(None))
    with store.workspace("worker", None):
        store.announce("worker", {"a/1": Live(host="h", folder="/f", since=since)})
        watch.until_ended(sleep=lambda _: jobs.ask_soon())
    assert "1 running, 0:00; longest a:1 an unknown time\n" in told.getvalue()


def test_what_hinders_jobs_is_told_once() -> None:
    jobs = Jobs(Answers(State.HELD, None, None, State.RUNNING), HANDED)
    clock = iter(range(0, 10_000, 100))
    assert [jobs.under_way(lambda: float(next(clock))) for _ in range(4)] == [True] * 4
    assert jobs.how_ended == "why"

    watch, bar = watched(Answers(State.HELD), {}, {}, {"a/1": Record(0, "new", "2-0-0-0")})
    watch.until_ended(sleep=lambda _: None)
    assert bar.lines == ["job j is held: why"]
