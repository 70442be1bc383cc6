"""How far a batch is while it executes, and what happens to its runs, in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from pydoit_sc.batch import PLAIN, Status
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.outcomes.kinds import uncoloured
from pydoit_sc.plurals import counted
from pydoit_sc.show.tables import cut_middle, one_line
from pydoit_sc.times import clock
from pydoit_sc.verdicts import Verdict, count

REASONS = 8  # in the summary of a plan: each run may miss a file of its own
NAMED = 8  # runs that execute now
_LABEL = 40  # characters of a command


@dataclass(slots=True, eq=False, repr=False)
class Running:
    """What executes now."""

    count: int = 0
    longest: Sequence[tuple[str, float]] = ()  # for how many seconds, the longest first; not all of them


class Progress:
    """How far a batch is."""

    def __init__(self) -> None:
        self.to_execute = 0
        self.skipped = 0
        self.done = 0
        self.failed = 0
        self.running: Callable[[], Running] = Running  # asked whenever it is shown, so it is always true
        self.told_left_behind = False
        self.jobs = ""  # the states of an engine's jobs, `2 queued, 1 running`
        self.started = time.monotonic()

    def begin(self, to_execute: int, skipped: int) -> None:
        """Start the clock for so many runs."""
        self.to_execute, self.skipped = to_execute, skipped
        self.started = time.monotonic()

    @property
    def finished(self) -> int:
        """How many runs have ended."""
        return self.done + self.failed

    @property
    def elapsed(self) -> float:
        """The seconds since the clock was started."""
        return time.monotonic() - self.started

    def seconds_left(self, running: int) -> float | None:
        """Return the expected time left at the pace so far; None before a run has ended.

        Those that are running count as done by half: at the start most of them have nearly ended when the first has.
        """
        if not self.finished:
            return None
        done = self.finished + running / 2
        return self.elapsed / done * max(0, self.to_execute - done)

    def figures(self, running: int) -> str:
        """Return how many runs stand how, and an engine's jobs, as one line."""
        return (
            f"{self.done:,}/{self.to_execute:,} done, {self.failed:,} failed, {self.skipped:,} skipped, {running:,} running"
            + (f"; jobs: {self.jobs}" if self.jobs else "")
        )

    def times(self, running: int) -> str:
        """Return the time that has passed, and the time left."""
        left = self.seconds_left(running)
        return clock(self.elapsed) + (f", {clock(left)} left" if left and left >= 1 else "")

    def tell_left_behind(self, tell: Callable[[str], None], task: str, count: int) -> None:
        """Say that a run's shell has ended before processes that it had started, the first time that one does."""
        if count and not self.told_left_behind:
            self.told_left_behind = True
            were, them = ("were", "them") if count > 1 else ("was", "it")
            tell(
                f"{task}: {count:,} of its processes {were} still running when its shell ended and {were} killed; "
                f"use `wait` to wait for {them} (shown once)"
            )

    def outcome(self) -> str:
        """Return the last figures as one line."""
        return str(self.counts())

    def counts(self, why: Iterable[str] = ()) -> Counts:
        """Return the last figures; `why`: what is told beside them."""
        left = max(0, self.to_execute - self.finished)
        return Counts(self.done, self.failed, self.skipped, left, round(self.elapsed, 3), tuple(why))


def summary(counts: Mapping[Verdict, int]) -> str:
    """Return a plan in one line: `3 of 48 runs to execute: 2 no outcome yet, 1 the command has changed`."""
    ignored = sum(number for verdict, number in counts.items() if verdict.ignored)
    if ignored and ignored == sum(counts.values()):
        return f"{counted(ignored, 'run')} {'are' if ignored > 1 else 'is'} ignored"
    more = f"; {ignored:,} more {'are' if ignored > 1 else 'is'} ignored" if ignored else ""
    return _summary({verdict: number for verdict, number in counts.items() if not verdict.ignored}) + more


def _summary(counts: Mapping[Verdict, int]) -> str:
    total = sum(counts.values())
    execute = {verdict: number for verdict, number in counts.items() if verdict.execute}
    if not execute:
        return (
            "no runs"
            if not total
            else f"all {total:,} runs are up to date"
            if total > 1
            else "the run is up to date"
        )
    reasons: dict[str, int] = {}
    for verdict, number in execute.items():
        reason = "failed before" if verdict.status is Status.ERROR else verdict.words
        reasons[reason] = reasons.get(reason, 0) + number
    why = ", ".join(f"{number:,} {reason}" for reason, number in islice(reasons.items(), REASONS))
    others = sum(islice(reasons.values(), REASONS, None))
    why += f", {others:,} for other reasons" if others else ""
    return f"{sum(execute.values()):,} of {total:,} runs to execute: {why}"


def verdict_lines(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Yield a line for each verdict of runs that are not executed: `2 incomplete: waits for align:s17 (failed)`."""
    for verdict, number in count(verdicts).items():
        yield f"{number:,} {verdict.status}: {verdict.words}"


def moved_words(moved: Sequence[str]) -> str:
    """Return what is wrong with unnamed runs in the places of others."""
    runs = f"{len(moved):,} runs without a name are" if len(moved) > 1 else "1 run without a name is"
    return (
        f"{runs} where another command was (first `{moved[0]}`): a position in the list identifies them, so the outputs "
        "of others would be replaced; give the runs a `name`"
    )


def failure_line(task: str, why: str, stderr_tail: bytes | None = b"", cmd: str = "") -> str:
    """Return the line for a run that failed, with the end of its stderr; of a list, whose names say little, with its command.

    >>> print(failure_line("month:2012-01", "status code 2", b"no such file: 2012-01.csv", "python fit.py 2012-01"))
    failed month:2012-01: status code 2
        no such file: 2012-01.csv
    >>> print(failure_line("runs:8a3f5c0b1d2e", "status code 2", b"no such file: 2012-01.csv", "python fit.py 2012-01"))
    failed runs:8a3f5c0b1d2e: status code 2
        $ python fit.py 2012-01
        no such file: 2012-01.csv
    """
    command = filter(None, [command_of(task, cmd)])
    lines = (stderr_tail or b"").decode(errors="backslashreplace").strip().split("\n")
    shown = [last_state(line) for line in lines if line]
    return "\n    ".join((f"failed {task}: {why}", *command, *shown))


def command_of(task: str, cmd: str) -> str:
    """Return the command of a run of a list, since its name is a digest or a position; nothing of other runs."""
    return f"$ {one_line(cmd)}" if cmd and task.startswith(f"{PLAIN}:") else ""


def label(task: str, cmd: str) -> str:
    """Return what a run is called where there is little room: its name, or the command of a run of a list.

    >>> label("month:2012-01", "python fit.py"), label("runs:8a3f5c0b1d2e", "python fit.py --month 2012-01 --model forest")
    ('month:2012-01', '$ python fit.py --mo…2-01 --model forest')
    """
    return cut_middle(command_of(task, cmd), _LABEL) or task


def last_state(line: str) -> str:
    """Return what a terminal shows in the end of a line that is written over itself, as progress is; without colours."""
    return uncoloured(line).rstrip("\r").rpartition("\r")[2].expandtabs()
