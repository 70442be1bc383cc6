"""doit's reporter for a batch: what `run` shows.

doit's reporters see tasks; this one sees the batch as well: how many runs there are, execute now and are still to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from doit.exceptions import BaseFail, TaskFailed
from doit.reporter import ConsoleReporter
from doit.task import Task

from pydoit_sc.outcomes.kinds import Failure, Tally
from pydoit_sc.show.bars import Bar, PlainBar, make_bar
from pydoit_sc.show.kinds import ending
from pydoit_sc.show.progress import failure_line, summary
from pydoit_sc.tasks.dependency import BatchTask
from pydoit_sc.tasks.errors import NoOutcomeError
from pydoit_sc.tasks.reckoning import Reckoning
from pydoit_sc.verdicts import Verdict
from pydoit_sc.worker.results import Result

if TYPE_CHECKING:
    from pydoit_sc.tasks.passing import Passing
    from pydoit_sc.worker.attempts import Attempt


class BatchReporter(ConsoleReporter):  # type: ignore[misc]
    """Reports a batch; tasks that are not runs are shown as doit shows them."""

    desc = "a bar on a terminal, plain lines elsewhere"

    def __init__(self, outstream: TextIO, options: Mapping[str, Any]) -> None:
        super().__init__(outstream, options)
        self.reckoning = Reckoning()
        self._quiet: bool = options.get("quiet", False)
        self._bar: Bar = make_bar(outstream, quiet=self._quiet)
        self._failed = Tally()
        self._command: Callable[..., str] = str  # of the batch that has failed runs
        self._passing: Passing | None = None

    def planned(self, counts: Mapping[Verdict, int]) -> None:
        """Show what is going to be executed, and why."""
        if not self._quiet:
            self._bar.line(summary(counts))

    def tell(self, text: str) -> None:
        """Show something that the user should know meanwhile."""
        if not self._quiet:
            self._bar.line(text)

    def pass_through(self, passing: Passing) -> None:
        """Show what a run writes, in place of how far the batch is."""
        self._passing = passing
        if not self._quiet:
            self._bar = PlainBar(self.outstream)

    def show(self, live: Iterable[Attempt]) -> None:
        """Show how far the batch is, or what its run has written; called again and again."""
        if self._passing:
            self._passing.look(live)
        else:
            self._bar.update(self.reckoning.progress)

    def left_behind(self, task: str, count: int) -> None:
        """A run's shell has ended before so many of its processes, or none."""
        self.reckoning.progress.tell_left_behind(self._bar.line, task, count)

    def completed(self) -> None:
        """A run has been completed."""
        if self._passing:
            self._passing.end(published=True)

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        """A run has failed, of which the first of its kind is told in full and the others are counted, or has got no outcome."""
        if not is_run(task):
            super().add_failure(task, fail)
            return
        if self._passing:
            self._passing.end(published=isinstance(fail, RunFailed))
        if isinstance(fail, RunFailed):
            self._command = task.project.command
            if self._failed.add(fail.failure):
                self._bar.line(fail.brief if self._passing else fail.message)

    def skip_uptodate(self, task: Task) -> None:
        """A task is up to date; runs are counted instead, in `planned`."""
        if not is_run(task) and task.actions and not self._quiet:
            super().skip_uptodate(task)

    def skip_ignore(self, task: Task) -> None:
        """A task is ignored; runs, and stages of them, are counted instead, in `planned`."""
        if not (isinstance(task, BatchTask) or self._quiet):
            super().skip_ignore(task)

    def execute_task(self, task: Task) -> None:
        """A task that is no run is being executed."""
        self.outstream.write("")  # which removes the bar: under `doit`, the task's own output knows of none
        if not self._quiet:
            super().execute_task(task)

    def runtime_error(self, msg: str) -> None:
        """The execution ends early, which is told at its end."""
        self.reckoning.errors.append(msg)

    def complete_run(self) -> None:
        """Show the last figures, then why the batch stopped early."""
        if self._passing:
            self._passing.end(published=False)
        self._bar.close(self.reckoning.progress)
        for line in ending(self._failed, self._command):
            self._bar.line(line)
        for line in self.reckoning.why():
            self._bar.line(line)


class RunFailed(TaskFailed):  # type: ignore[misc]
    """A run has failed."""

    def __init__(self, failure: Failure, message: str, brief: str) -> None:
        super().__init__(message)
        self.failure, self.brief = failure, brief  # without stderr


def fail_of(result: Result) -> BaseFail | None:
    """Return what doit makes of a result; None where the run is completed."""
    record, task, tail, cmd = result.record, result.work.task, result.stderr_tail, result.work.run.cmd
    if record is None:
        return NoOutcomeError(task, result.error, "not published" if result.executed else "not started")
    if record.code == 0:
        return None
    return RunFailed(
        Failure(task, record.code, record.reason, tail),
        failure_line(task, record.failure, tail, cmd),
        failure_line(task, record.failure, b"", cmd),
    )


def is_run(task: Task) -> bool:
    """Return whether a task is a run."""
    return hasattr(task, "run")
