"""The progress of a batch while it executes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, TextIO, cast

from pydoit_sc.batch import Status
from pydoit_sc.errors import printable
from pydoit_sc.plan import Verdict, count
from pydoit_sc.show.screen import Drawing, Screen

REASONS = 8  # in the summary of a plan: each run may miss a file of its own
EVERY = 10.0  # seconds between two lines of progress where there is no terminal


class Bar(Protocol):
    """Shows the progress of a batch while it executes."""

    def update(self, progress: Progress) -> None:
        """Show the figures as they are now."""

    def line(self, text: str) -> None:
        """Write a line that stays."""

    def close(self, progress: Progress) -> None:
        """Show the last figures."""


class Progress:
    """How far a batch is."""

    def __init__(self) -> None:
        self.to_execute = 0
        self.skipped = 0
        self.done = 0
        self.failed = 0
        self.running = 0
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

    def seconds_left(self) -> float | None:
        """Return the expected time left at the pace so far; None before a run has ended."""
        if not self.finished:
            return None
        return (time.monotonic() - self.started) / self.finished * (self.to_execute - self.finished)

    def text(self) -> str:
        """Return the figures as one line."""
        left = self.seconds_left()
        return (
            f"{self.finished:,}/{self.to_execute:,} done, {self.failed:,} failed, {self.skipped:,} skipped, "
            f"{self.running:,} running"
            + (f", {clock(left)} left" if left else "")
            + (f"; jobs: {self.jobs}" if self.jobs else "")
        )

    def tell_left_behind(self, bar: Bar, task: str, count: int) -> None:
        """Say that a run's shell has ended before processes that it had started, the first time that one does."""
        if count and not self.told_left_behind:
            self.told_left_behind = True
            what = f"{count:,} process{'es' * (count > 1)} of it"
            bar.line(
                f"{task}: {what} still ran when its shell ended, and were killed; `wait` for them (told once)"
            )

    def outcome(self) -> str:
        """Return the last figures as one line."""
        figures = {
            "completed": self.done,
            "failed": self.failed,
            "skipped": self.skipped,
            "not executed": self.to_execute - self.finished,
        }
        shown = ", ".join(f"{count:,} {word}" for word, count in figures.items() if count > 0)
        return f"{shown}, in {clock(time.monotonic() - self.started)}"


def summary(counts: Mapping[Verdict, int]) -> str:
    """Return a plan in one line: `3 of 48 runs to execute: 2 no status_code, 1 the command has changed`."""
    ignored = sum(number for verdict, number in counts.items() if verdict.ignored)
    if ignored and ignored == sum(counts.values()):
        return f"{ignored:,} run{'s are' if ignored > 1 else ' is'} ignored"
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


def counted(verdicts: Iterable[Verdict]) -> Iterator[str]:
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


def failure_line(task: str, why: str, stderr_tail: bytes = b"") -> str:
    """Return the line for a run that failed, with the end of its stderr.

    >>> print(failure_line("month:2012-01", "status code 2", b"no such file: 2012-01.csv"))
    failed month:2012-01: status code 2
        no such file: 2012-01.csv
    """
    lines = stderr_tail.decode(errors="backslashreplace").strip().split("\n")
    shown = [_last_state(line) for line in lines if line]
    return "\n    ".join((f"failed {task}: {why}", *shown))


def _last_state(line: str) -> str:
    """Return what a terminal shows in the end of a line that is written over itself, as progress is."""
    return line.rstrip("\r").rpartition("\r")[2].expandtabs()


def clock(seconds: float) -> str:
    """Return a length of time as `1:02:03`, or `2:03` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class NoBar:
    """Shows only the lines that stay: failures."""

    def __init__(self, outstream: TextIO) -> None:
        self._outstream = outstream

    def update(self, progress: Progress) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Write the line."""
        self._outstream.write(f"{text}\n")
        self._outstream.flush()

    def close(self, progress: Progress) -> None:
        """Show nothing."""


class PlainBar(NoBar):
    """A line of figures from time to time, for logs."""

    def __init__(self, outstream: TextIO) -> None:
        super().__init__(outstream)
        self._next = time.monotonic() + EVERY

    def update(self, progress: Progress) -> None:
        """Write a line every EVERY seconds."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY
            self.line(progress.text())

    def close(self, progress: Progress) -> None:
        """Write the last figures, if anything was executed."""
        if progress.finished:
            self.line(progress.outcome())


class RichBar(NoBar):
    """A bar that moves, with the lines that stay above it."""

    def __init__(self, outstream: TextIO) -> None:
        super().__init__(outstream)
        self._next = 0.0
        self._live: Any = None

    def update(self, progress: Progress) -> None:
        """Redraw the bar, ten times a second at most."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 0.1
        if self._live is None:
            self._start(progress)
        self._live.update(
            0,
            completed=progress.finished,
            text=progress.text(),
            refresh=True,
        )

    def _start(self, progress: Progress) -> None:
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
        from rich.progress import Progress as Columns  # noqa: PLC0415

        columns = (BarColumn(bar_width=30), TextColumn("{task.fields[text]}", markup=False))
        stream = self._outstream
        file = cast(TextIO, Drawing(stream)) if isinstance(stream, Screen) else stream
        self._live = Columns(*columns, console=Console(file=file), auto_refresh=False)
        self._live.add_task("", total=progress.to_execute, text="")
        self._live.start()

    def line(self, text: str) -> None:
        """Write the line above the bar."""
        if self._live is None:
            super().line(text)
        else:
            self._live.console.print(printable(text), markup=False, highlight=False, emoji=False)

    def close(self, progress: Progress) -> None:
        """Remove the bar and write the last figures."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if progress.finished:
            self.line(progress.outcome())


def make_bar(outstream: TextIO, *, quiet: bool) -> Bar:
    """Return the bar for an output: moving on a terminal, lines elsewhere, failures alone if quiet."""
    if quiet:
        return NoBar(outstream)
    return RichBar(outstream) if outstream.isatty() else PlainBar(outstream)
