"""The progress of a submission: its runs as the store has them, its jobs as the engine says."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from heapq import nsmallest

from pydoit_sc.batch import task_of
from pydoit_sc.engines.base import Engine, EngineError, Handed
from pydoit_sc.ledger import Work
from pydoit_sc.outcomes.failed import READ, Failed, read_failures
from pydoit_sc.outcomes.failures import Failures
from pydoit_sc.outcomes.kinds import Failure, Tally
from pydoit_sc.show.bars import Bar
from pydoit_sc.show.kinds import ending
from pydoit_sc.show.progress import NAMED, Progress, Running, failure_line, label
from pydoit_sc.store import Live, Record, Store
from pydoit_sc.submissions.ended import Leftover
from pydoit_sc.submissions.notes import JobStates
from pydoit_sc.verdicts import Verdict, cancelled, is_current, judge, waiting

_FIRST, _LONGEST = 0.2, 5.0  # seconds between two looks at the store: few while nothing goes on
#: Seconds between two times that the bar is shown: the time goes on, and the terminal may be resized.
_SHOW = 0.5
_ASK_FIRST, _ASK_LONGEST = 0.5, 30.0  # seconds between two questions to the engine


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of a submission."""

    works: Sequence[Work]
    always: bool  # completed runs are executed again
    #: The keys of those that wait for others: until these are published, theirs look current.
    later: Set[str] = frozenset()

    def ended(self, work: Work, record: Record, *, last: bool) -> bool:
        """Return whether a run has ended: its outcome is not the one that was known, or no other one was needed.

        Two outcomes of `sc batch` cannot be told apart: there the `last` look takes what is in the store.
        """
        if record != work.known:
            return True
        current = work.run.key not in self.later and is_current(record, work.fingerprint)
        return (current and not self.always) or (last and not record.attempt)


@dataclass(slots=True)
class Jobs:
    """The jobs of a submission: the engine is asked about all of them at once, ever less often while nothing changes."""

    engine: Engine
    handed: Handed
    states: JobStates = field(default_factory=lambda: JobStates({}))
    _next: float = 0.0
    _delay: float = _ASK_FIRST

    def under_way(self, clock: Callable[[], float] = time.monotonic) -> bool:
        """Return whether a job has not ended, as far as is known; an engine that does not answer is asked again."""
        if clock() >= self._next:
            before = self.states
            try:
                self.states = JobStates(self.engine.poll([self.handed]))
            except EngineError as error:
                self.states = JobStates(before.jobs, str(error))
            same = self.states == before
            self._delay = min(1.5 * self._delay, _ASK_LONGEST) if same else _ASK_FIRST
            self._next = clock() + self._delay
        return self.states.under_way

    def ask_soon(self) -> None:
        """Ask at the next look, and often after that: the state is about to change."""
        self._next, self._delay = 0.0, _ASK_FIRST

    @property
    def how_ended(self) -> str:
        """What the engine says of the jobs, in its words."""
        return ", ".join(sorted({job.detail for job in self.states.jobs.values() if job.detail}))


class Watch:
    """Shows how the runs of a submission end."""

    def __init__(self, store: Store, runs: Runs, jobs: Jobs, bar: Bar, failures: Failures) -> None:
        self._store, self._runs, self._jobs, self._bar = store, runs, jobs, bar
        self.failures = failures
        self.left = {work.run.key: work for work in runs.works}
        self.failed: set[str] = set()  # the keys of those that have
        self.progress = Progress()
        self.progress.to_execute = len(runs.works)
        self.progress.running = self._running
        self._live: Sequence[tuple[Work, Live]] = ()  # as the last look has seen them
        self._told: set[str] = set()
        self._tally = Tally()

    def until_ended(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Look until all runs have ended, or too many have failed, or the jobs have ended; raises StoreError."""
        delay = _FIRST
        while self.left:
            # Asked first: what ends after this is seen by the look that follows.
            alive = self._jobs.under_way()
            self._tell()
            if self._look(last=not alive):
                delay = _FIRST
            if not alive or self.failures.too_many:
                return
            if self.left:
                self._pause(delay, sleep)
                delay = min(1.3 * delay, _LONGEST)

    def until_idle(self, at_most: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Look until the jobs have ended, a moment after their last run, or for so many seconds."""
        self._jobs.ask_soon()
        delay, waited = _FIRST, 0.0
        while self._jobs.under_way() and waited < at_most:
            self._pause(delay, sleep)
            waited += delay
            delay = min(1.3 * delay, _LONGEST)

    def held(self, why: Leftover) -> list[Verdict]:
        """Return the verdicts of the runs that are left for a reason; those that are lost stay in `left`."""
        verdicts = []
        for key, work in list(self.left.items()):
            before = judge(work.fingerprint, work.known)
            if key in why.cancelled:
                verdicts.append(cancelled(before))
            elif cause := why.waiting.get(key):
                verdicts.append(
                    waiting(before, task_of(cause), "cancelled" if cause in why.cancelled else "failed")
                )
            else:
                continue
            del self.left[key]
        return verdicts

    def line(self, text: str) -> None:
        """Write a line that stays."""
        self._bar.line(text)

    def close(self, command: Callable[..., str]) -> None:
        """Show the last figures, and what has failed; `command` returns a command line on the batch."""
        self._live, self.progress.jobs = (), ""
        if self._jobs.states.under_way and not self.failures.too_many:
            self.progress.to_execute = self.progress.finished  # the others go on unseen
        self._bar.close(self.progress)
        for line in ending(self._tally, command):
            self._bar.line(line)

    def _look(self, *, last: bool) -> bool:
        """Count what has ended, and return whether anything has; raises StoreError."""
        before = len(self.left)
        found = self._store.scan(self.left)
        ended = {
            key: record
            for key, record in found.items()
            if self._runs.ended(self.left[key], record, last=last)
        }
        failed = [
            Failed(self.left[key].task, key, record) for key, record in ended.items() if record.code != 0
        ]
        tails = {
            one.task: one for one in read_failures(self._store, failed, max(0, READ - self._tally.count))
        }
        for key, record in ended.items():
            work = self.left.pop(key)
            self._count(work, record, tails.get(work.task))
        running = self._store.running()
        self._live = [(self.left[key], running[key]) for key in running.keys() & self.left.keys()]
        self._bar.update(self.progress)
        return len(self.left) < before

    def _running(self) -> Running:
        now = time.time()
        first = nsmallest(NAMED, self._live, key=lambda item: item[1].since)
        return Running(
            len(self._live),
            [(label(one.task, one.run.cmd), max(0.0, now - live.since)) for one, live in first],
        )

    def _pause(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait, and show the bar meanwhile."""
        while seconds > 0:
            self._bar.update(self.progress)
            sleep(min(seconds, _SHOW))
            seconds -= _SHOW

    def _tell(self) -> None:
        """Show the states of the jobs, and once what hinders them."""
        states = self._jobs.states
        self.progress.jobs = states.count()
        for job, why in states.held().items():
            self._tell_once(f"job {job} is held: {why}")
        for why in states.doubts():
            self._tell_once(f"the state of the jobs is not known: {why}")

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._bar.line(line)

    def _count(self, work: Work, record: Record, failure: Failure | None) -> None:
        tail = (failure and failure.tail) or b""
        self.failures.see(work.task, record, tail)
        if failure is None:
            self.progress.done += 1
            return
        self.progress.failed += 1
        self.failures.add()
        self.failed.add(work.run.key)
        if self._tally.add(failure):
            self._bar.line(failure_line(work.task, record.failure, tail, work.run.cmd))
