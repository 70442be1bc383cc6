"""What `run` shows: a bar and the failures on a terminal, plain lines elsewhere.

doit's reporters see tasks; these see the batch as well: how many runs there are, execute now and are to come.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO, cast

from doit.exceptions import BaseFail
from doit.reporter import ConsoleReporter
from doit.task import Task

from pydoit_sc.batch import Status
from pydoit_sc.plan import Verdict
from pydoit_sc.worker.executor import Result

EVERY = 10.0  # seconds between two lines of progress where there is no terminal


class Lasting:
    """A stream to write to that never fails: a batch goes on when the reader of its output goes away."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, unless nobody reads any more."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Pass on what has been written."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Have all that is still to come, also from Python's own buffers, go nowhere."""
        if error.errno != errno.EPIPE:
            print(f"the output cannot be written, the batch goes on: {error.strerror}", file=sys.stderr)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Bar(Protocol):
    """Where the progress of a batch is shown while it goes on."""

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
        self.jobs = ""  # how an engine's jobs stand, in a few words
        self.started = time.monotonic()

    @property
    def finished(self) -> int:
        """How many runs have ended."""
        return self.done + self.failed

    def seconds_left(self) -> float | None:
        """Guess the time left from the pace so far; None before any run has ended."""
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


class BatchReporter(ConsoleReporter):  # type: ignore[misc]
    """Reports a batch; tasks that are no runs are shown as doit shows them."""

    desc = "a bar on a terminal, plain lines elsewhere"

    def __init__(self, outstream: TextIO | Lasting, options: Mapping[str, Any]) -> None:
        super().__init__(outstream, options)
        self.progress = Progress()
        self._quiet: bool = options.get("quiet", False)
        self._bar: Bar = make_bar(outstream, quiet=self._quiet)

    def planned(self, counts: Mapping[Verdict, int]) -> None:
        """Begin: tell what is going to be executed, and why."""
        skipped = sum(count for verdict, count in counts.items() if not verdict.execute)
        self.progress.skipped = skipped
        self.progress.to_execute = sum(counts.values()) - skipped
        self.progress.started = time.monotonic()
        if not self._quiet:
            self._bar.line(summary(counts))

    def beginning(self, running: int) -> None:
        """A run has started."""
        self.progress.running = running
        self._bar.update(self.progress)

    def add_success(self, task: Task) -> None:
        """A task has succeeded."""
        if is_run(task):
            self.progress.done += 1
            self._bar.update(self.progress)

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        """A run has failed: a line with its name and its code, and the end of its stderr."""
        if not is_run(task):
            super().add_failure(task, fail)
            return
        self.progress.failed += 1
        self._bar.line(fail.message)
        self._bar.update(self.progress)

    def skip_uptodate(self, task: Task) -> None:
        """A task is up to date; runs are counted instead, in `planned`."""
        if not is_run(task) and task.actions and not self._quiet:
            super().skip_uptodate(task)

    def execute_task(self, task: Task) -> None:
        """A task that is no run is being executed."""
        if not self._quiet:
            super().execute_task(task)

    def complete_run(self) -> None:
        """The end: the last figures, then what kept the batch from going on."""
        self.progress.running = 0
        self._bar.close(self.progress)
        for error in self.runtime_errors:
            self._bar.line(error)


def is_run(task: Task) -> bool:
    """Say whether a task is a run; told by its attribute, since reporters must not load the batch's modules."""
    return hasattr(task, "run")


def failure_line(name: str, result: Result[Any]) -> str:
    """Say that a run has failed: its name, its code and the end of its stderr."""
    if result.record is None:
        return f"failed {name}: {result.error}"
    text = result.stderr_tail.decode(errors="replace").strip()
    return f"failed {name}: status code {result.record.code}" + "".join(
        f"\n    {x}" for x in text.splitlines()
    )


def summary(counts: Mapping[Verdict, int]) -> str:
    """Say in a line what a plan comes to: `3 of 48 runs to execute: 2 no status_code, 1 the command has changed`."""
    total = sum(counts.values())
    execute = {verdict: count for verdict, count in counts.items() if verdict.execute}
    if not execute:
        return (
            "no runs"
            if not total
            else f"all {total:,} runs are up to date"
            if total > 1
            else "the run is up to date"
        )
    reasons: dict[str, int] = {}
    for verdict, count in execute.items():
        reason = "failed before" if verdict.status is Status.ERROR else verdict.reason
        reasons[reason] = reasons.get(reason, 0) + count
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return f"{sum(execute.values()):,} of {total:,} runs to execute: {why}"


def clock(seconds: float) -> str:
    """Return a length of time as `1:02:03`, or `2:03` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class NoBar:
    """Shows only the lines that stay: failures."""

    def __init__(self, outstream: TextIO | Lasting) -> None:
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

    def __init__(self, outstream: TextIO | Lasting) -> None:
        super().__init__(outstream)
        self._next = time.monotonic() + EVERY

    def update(self, progress: Progress) -> None:
        """Write a line if the last one is some time ago."""
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

    def __init__(self, outstream: TextIO | Lasting) -> None:
        super().__init__(outstream)
        self._next = 0.0
        self._live: Any = None

    def update(self, progress: Progress) -> None:
        """Draw the bar anew, ten times a second at most."""
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
        self._live = Columns(
            *columns, console=Console(file=cast(TextIO, self._outstream)), auto_refresh=False
        )
        self._live.add_task("", total=progress.to_execute, text="")
        self._live.start()

    def line(self, text: str) -> None:
        """Write the line above the bar."""
        if self._live is None:
            super().line(text)
        else:
            self._live.console.print(text, markup=False, highlight=False)

    def close(self, progress: Progress) -> None:
        """Take the bar away and write the last figures."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if progress.finished:
            self.line(progress.outcome())


def make_bar(outstream: TextIO | Lasting, *, quiet: bool) -> Bar:
    """Return what fits where the output goes."""
    if quiet:
        return NoBar(outstream)
    return RichBar(outstream) if outstream.isatty() else PlainBar(outstream)
