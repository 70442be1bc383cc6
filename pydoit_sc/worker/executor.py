"""The worker's event loop: runs start as ranks come free, and end as published outcomes.

The loop is one thread, and goes round like this:

1. Start runs while a rank is free: always the lowest ones. One that needs more than are free is not overtaken.
2. Write the last files of the runs that ended in the last round. Only now: their ranks already execute the next runs.
3. Commit the outcomes that the stager has brought to the store since.
4. Wait until something happens. Reap what has ended, heed signals, deadlines and disks.

A retry is a further attempt on the same rank; only the last one is published. After a stop signal nothing starts any
more, the runs get SIGTERM, then SIGKILL when their grace is over, and nothing that was still executing is published.
The same where a disk is full: what was executing then may have been cut.

What the worker itself lacks (a disk, descriptors, memory, processes) is never an outcome of a run: it ends the worker.
"""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pydoit_sc.errors import reason
from pydoit_sc.ledger import Work
from pydoit_sc.outcomes.failures import Failures
from pydoit_sc.shells import command_line
from pydoit_sc.show.progress import NAMED, Running, label
from pydoit_sc.store import HeldError, Outcome, Staged, Store, StoreError, TakenError, name_worker
from pydoit_sc.verdicts import is_current
from pydoit_sc.worker.announcer import Announcer
from pydoit_sc.worker.attempts import GIVEN_UP, MOST_DEATHS, NOT_STARTED, Attempt, Attempts
from pydoit_sc.worker.cgroup import MemoryKills
from pydoit_sc.worker.control import Control, Steering
from pydoit_sc.worker.deadlines import Deadlines
from pydoit_sc.worker.disks import DISK_ERRORS, Disks
from pydoit_sc.worker.heldback import Ended, HeldBack
from pydoit_sc.worker.memory import FREE_EVERY, MemoryWatch
from pydoit_sc.worker.process import Exit, Processes
from pydoit_sc.worker.results import Limits, Result, result_of_another
from pydoit_sc.worker.slots import Ranks
from pydoit_sc.worker.stager import Stager
from pydoit_sc.worker.supply import OuterRunError, Supply

COMMITS = 8  # in a row, before the loop looks for runs that have ended
LOOK_EVERY = 0.2  # seconds between two looks at the disks while runs are executing

Pending = tuple[Attempt, Exit, Result]


@dataclass(slots=True, eq=False, repr=False)
class Executor:
    """Executes runs, `limits.nprocs` at once, and publishes their outcomes in `store`."""

    store: Store
    limits: Limits
    submission: str = ""
    worker: str = field(default_factory=name_worker)
    processes: Callable[[str], Processes] = Processes
    tell: Callable[[str], None] = lambda text: None  # noqa: ARG005 - what a user should know meanwhile
    show: Callable[[Collection[Attempt]], None] = lambda live: None  # noqa: ARG005 - in each round: five a second at least
    failures: Failures = field(init=False)
    stopped_by: int = 0  # the stop signal that ended it, 0 if none did
    error: str = ""  # why the worker gave up, if it did
    out_of_time: bool = False  # it left runs to another worker, since the machine's time was nearly over

    _stopping: bool = False  # nothing more is started
    _dropping: bool = False  # nor is anything that is executing published
    _ranks: Ranks = field(init=False)
    _live: dict[int, Attempt] = field(default_factory=dict)  # by pid
    _held: HeldBack = field(default_factory=HeldBack)
    _deadlines: Deadlines = field(init=False)
    _longest: float = 0.0  # seconds that an attempt has taken
    _disks: Disks = field(default_factory=Disks)
    _look_at: float = 0.0
    _announcer: Announcer = field(init=False)
    _kills: MemoryKills = field(default_factory=MemoryKills)
    _memory: MemoryWatch = field(init=False)
    _attempts: Attempts = field(init=False)
    _processes: Processes = field(init=False)
    _stager: Stager[Pending] = field(init=False)
    _supply: Supply = field(init=False)
    _control: Control = field(init=False)
    _order: Steering = field(default=Steering(known=False))  # that is heeded

    def __post_init__(self) -> None:
        self._deadlines = Deadlines(self._live)
        self.failures = Failures(self.limits.max_failures)

    @property
    def running(self) -> Running:
        """What is executing now; the runs that have started first are named."""
        now, first = time.monotonic(), islice(self._live.values(), NAMED)
        return Running(len(self._live), [(label(a.work.task, a.work.run.cmd), now - a.clock) for a in first])

    def run(self, works: Iterator[Work | None]) -> Iterator[Result]:
        """Yield a result for every run, as they end; None from `works` means that none is ready before one has.

        Raises StoreError where the store cannot be written at all. After the end, `stopped_by`, `error` and
        `out_of_time` say whether it ended early; runs that were executing then have no result.
        """
        try:
            yield from self._run(works)
        except OSError as error:
            self.stop(f"the worker cannot go on: {reason(error)}")

    def _run(self, works: Iterator[Work | None]) -> Iterator[Result]:
        self._ranks = Ranks(self.limits.nprocs)
        self._memory = MemoryWatch(self.limits.min_free_memory, self.tell)
        self._announcer = Announcer(self.store, self.worker, time.monotonic())
        with self.store.workspace(self.worker, self.limits.scratch) as folder:
            copied = not (self.store.in_place and self.limits.scratch is None)
            self._attempts = Attempts(self.worker, folder, self.limits, self.submission, copied=copied)
            self._processes = self.processes(self.worker)
            wake = self._processes.wake
            self._stager = Stager(self.store, wake)
            self._supply = Supply(works, self.store, self.worker, self.tell, wake, self.limits.nprocs)
            self._control = Control(self.store, self.submission, wake)
            with self._processes.session(), self._control, self._announcer:
                try:
                    self._disks.watch(folder)
                    self._look_at_disks()
                    yield from self._loop()
                    self.store.settle()
                finally:
                    self._processes.kill_all()
                    self._stager.close()
                    self._disks.close()

    def stop(self, error: str = "") -> None:
        """Start nothing more; what is executing goes on to its end."""
        self.error, self._stopping = self.error or error, True

    def leave_children_alone(self) -> None:
        """Leave the children alone that this process has while no run is executing, such as a user's own task's server."""
        self._processes.leave_alone()

    def _give_up(self, what: str, error: OSError | StoreError) -> None:
        """Stop for an error; if a disk is the cause, what is executing may suffer from it, too."""
        disk = isinstance(error, OSError) and error.errno in DISK_ERRORS
        if disk:
            self._look_at_disks()  # where one is full, that is the reason to give: the error names no disk
        self.stop(f"{what}: {reason(error)}")
        if disk and not self._dropping:
            self._drop(signal.SIGTERM, self._live)

    def _loop(self) -> Iterator[Result]:
        ended: list[Ended] = []
        while True:
            waiting = yield from self._fill()
            for attempt, exit_ in ended:
                self._finish(attempt, exit_)
            # More than have ended, or what waits for its commit would grow without end.
            published = self._stager.take(COMMITS + len(ended))
            for staged, result in published:
                yield from self._commit(staged, result)
            if not published:  # else a run that has waited for one of them may start
                waits = self._live or self._held or self._stager.pending
                if not waits and (self._stopping or not self._supply.is_waiting):
                    return
                self._stager.hurry(waiting or not self._live)
                self._processes.wait(self._until_next())
            ended = self._attend()

    def _fill(self) -> Generator[Result, None, bool]:
        """Start runs while a rank is free; yield those that end at once. Returns whether all that is left must wait."""
        if self._control.order is not self._order:
            self._obey(self._control.order)
        self._supply.give_back()
        while self._ranks and not (self._stopping or self._stager.is_full):
            try:
                work = self._supply.next()
            except StopIteration:
                return False
            if work is None:
                return True
            if self._too_late() or not self._has_room(work):
                return False
            if (result := self._begin(work)) is not None:
                yield result
        return False

    def _has_room(self, work: Work) -> bool:
        """Return whether a run may start now; one that may not stays the next."""
        # A run of more slots than there are now, since a user wants fewer, waits until it is alone.
        if not self._order.lets_start or min(work.run.settings.slots, self._ranks.count) > len(self._ranks):
            self._supply.keep(work, None)
        elif self._memory.is_short():
            self._supply.keep(work, time.monotonic() + FREE_EVERY)
        else:
            return True
        return False

    def _begin(self, work: Work) -> Result | None:
        """Start a run on the lowest free ranks; return a result if it cannot or need not be started."""
        try:
            now, deaths = self._supply.take(work)
            if now:
                self.failures.see_other(now)
                return result_of_another(self.store, work, now)
            self._start(work, self._ranks.take(work.run.settings.slots), (), deaths)
        except HeldError as error:
            self._supply.wait(work, str(error))
        except OuterRunError as error:
            return Result(work, None, executed=False, error=str(error))
        except (OSError, StoreError) as error:
            self._give_up("cannot start a run", error)
        return None

    def _too_late(self) -> bool:
        """Return whether the machine's time may not suffice for another attempt; if so, stop."""
        if (ends_at := self.limits.ends_at) is None or time.time() + self._longest < ends_at:
            return False
        self.out_of_time = self._stopping = True
        return True

    def _start(self, work: Work, ranks: Sequence[int], retry_codes: tuple[int, ...], deaths: int = 0) -> None:
        attempt = self._attempts.make(work, ranks, retry_codes)
        if deaths >= MOST_DEATHS:
            self._held.add(*attempt.refuse(GIVEN_UP, f"{deaths} workers died while they executed it"))
            return
        words, env = command_line(work.run.settings.shell, work.run.cmd), self._attempts.environment(attempt)
        try:
            pid = self._processes.spawn(words, env, attempt.id, attempt.stdout, attempt.stderr)
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            self._held.add(*attempt.refuse(NOT_STARTED, f"it cannot be started: {error.strerror}"))
            return
        self._live[pid] = attempt
        self._memory.begin(work.run.settings, attempt.clock)
        if work.run.settings.timeout is not None:
            self._deadlines.add(attempt.clock + work.run.settings.timeout, pid, signal.SIGTERM)

    def _attend(self) -> list[Ended]:
        """Heed what has happened; return the attempts that are over and are to be published."""
        exits = [(self._live.pop(exit_.pid), exit_) for exit_ in self._processes.reap()]
        signals = self._processes.signals()  # after that: a signal that has ended a run is known with its end
        ended = self._judge(exits, signalled=bool(signals))
        for number in signals:
            self._interrupt(number)
        self._expire()
        self._memory.enforce(self._live, self._processes, time.monotonic())
        self._announcer.tell(self._live, time.monotonic())
        self.show(self._live.values())
        return ended

    def _obey(self, order: Steering) -> None:
        """Change how many runs execute at once, and whether further ones start, or end some, as a user has ordered."""
        count, gpus = order.nprocs or self.limits.nprocs, self.limits.gpus
        self._ranks.resize(count if gpus is None else min(count, len(gpus)))
        for line in order.news(self._order, self._ranks.count):
            self.tell(line)
        new = order.cancelled - self._order.cancelled
        self._drop(signal.SIGTERM, {pid: one for pid, one in self._live.items() if one.work.run.key in new})
        self._held.drop(new)
        self._order, self._supply.cancelled = order, order.cancelled

    def _until_next(self) -> float | None:
        """Return the seconds until the loop has something to do by itself, None if never."""
        times = [
            self._deadlines.next,
            self._memory.look_at,
            self._announcer.due(self._live),
            self._look_at if self._live else None,
            self._held.next,
            self._supply.look_at if self._ranks and not (self._stopping or self._stager.is_full) else None,
        ]
        return min(known) - time.monotonic() if (known := [at for at in times if at is not None]) else None

    def _judge(self, exits: list[Ended], *, signalled: bool) -> list[Ended]:
        """Return the attempts that are over; `signalled`: a stop signal has come, and may be why some failed."""
        now = time.monotonic()
        due = [] if signalled else self._held.due(now)
        if exits or due or (self._live and now >= self._look_at):
            self._look_at_disks()
        over = [ended for ended in exits if self._is_settled(*ended, signalled=signalled)]
        return [ended for ended in (*over, *due) if self._is_over(*ended)]

    def _is_settled(self, attempt: Attempt, exit_: Exit, *, signalled: bool) -> bool:
        """Return whether it is known if an attempt that has just ended counts, or is dropped; if not, it is held back."""
        code = attempt.code(exit_)
        self._longest = max(self._longest, exit_.clock - attempt.clock)
        if exit_.error:
            self._give_up(f"cannot start a run in {attempt.folder}", exit_.error)
        attempt.dropped = attempt.dropped or self._dropping or bool(exit_.error or (signalled and code))
        return attempt.dropped or not self._held.holds(attempt, exit_, code)

    def _is_over(self, attempt: Attempt, exit_: Exit) -> bool:
        """Give an attempt's ranks to its retry, or else back; return whether it is to be published, or kept."""
        if attempt.dropped:
            self.store.release(attempt.work.run.key)
            self._ranks.give_back(attempt.ranks)
            return False
        code = attempt.code(exit_)
        if self._retried(attempt, code):
            return attempt.retried
        self._ranks.give_back(attempt.ranks)
        if code and self.failures.add():  # before its rank goes to another run
            self.stop()
        return True

    def _look_at_disks(self) -> None:
        """Give up if a disk is full: what is executing may have been cut, and its end says nothing."""
        self._look_at = time.monotonic() + LOOK_EVERY
        if (full := self._disks.full()) and not self._dropping:
            self.stop(f"{full}; what was executing is incomplete: free some space and start again")
            self._drop(signal.SIGTERM, self._live)

    def _drop(self, number: int, live: Mapping[int, Attempt]) -> None:
        """End what is executing, or a part of it, with SIGKILL after its grace at the latest, and publish none of it."""
        self._dropping = self._dropping or live is self._live
        self._processes.signal(number, live)
        for pid, attempt in live.items():
            attempt.dropped = True
            self._deadlines.add(time.monotonic() + attempt.settings.grace, pid, signal.SIGKILL)

    def _retried(self, attempt: Attempt, code: int) -> bool:
        """Start a further attempt if there is to be one; return True also where that is not possible any more."""
        if self._stopping or not attempt.has_retry(code):
            return False
        try:
            if self._supply.outcome(attempt.work):  # then that is another worker's outcome
                return False
            attempt.make_room()
            if not self._too_late():
                self._start(attempt.work, attempt.ranks, (*attempt.retry_codes, code))
        except HeldError as error:  # another worker may have it by now
            self._ranks.give_back(attempt.ranks)
            self._supply.begin_anew(attempt.work, str(error))
        except (OSError, StoreError) as error:
            self._give_up("cannot start a run", error)
        return True

    def _interrupt(self, number: int) -> None:
        """Stop for a signal: SIGTERM to all runs, SIGKILL after their grace, or at once if asked again."""
        again = bool(self.stopped_by)
        self.store.hurry()
        self.stopped_by = self.stopped_by or number
        self.stop()
        self._held.clear()
        self._drop(signal.SIGKILL if again else signal.SIGTERM, self._live)

    def _expire(self) -> None:
        """Signal the runs whose time, or whose grace, is over."""
        for deadline in self._deadlines.due(time.monotonic()):
            attempt = self._live[deadline.pid]
            self._processes.signal(deadline.signal, [deadline.pid])
            if deadline.signal == signal.SIGTERM:
                attempt.timed_out = True
                self._deadlines.add(time.monotonic() + attempt.settings.grace, deadline.pid, signal.SIGKILL)

    def _finish(self, attempt: Attempt, exit_: Exit) -> None:
        """Write the attempt's last files and have it staged."""
        succeeded = not attempt.code(exit_)
        attempt.for_memory = exit_.code == 128 + signal.SIGKILL and self._kills.has_killed(exit_.clock)
        try:
            finished, result = self._attempts.conclude(attempt, exit_)
        except OSError as error:
            self._give_up(f"cannot write a run's output in {attempt.folder}", error)
            return
        if succeeded and attempt.spoilt and self.failures.add():
            self.stop()
        if result.record and self.failures.see(result.work.task, result.record, result.stderr_tail or b""):
            self.stop()
        self._stager.put(finished, (attempt, exit_, result))

    def _commit(self, staged: Staged | StoreError, pending: Pending) -> Iterator[Result]:
        """Publish a staged attempt; yield its result, or what came of it instead."""
        attempt, exit_, result = pending
        work = attempt.work
        try:
            if isinstance(staged, StoreError):
                raise staged
            if (outcome := self.store.commit(staged)) is not Outcome.LOST:
                if outcome is Outcome.PUBLISHED:
                    yield result
                return
            there = self.store.scan([work.run.key]).get(work.run.key)
        except StoreError as error:
            if attempt.retried:  # what is kept of it is for people alone
                return
            if not attempt.spoilt and not self._stopping and attempt.is_removed(staged):
                if isinstance(staged, Staged) and staged.folder != attempt.folder:
                    self._stager.put(staged.attempt, pending)
                else:
                    self._finish(attempt, exit_)
                return
            if not isinstance(error, TakenError):  # else it is this run's own matter: all others go on
                self._give_up("cannot publish a run", error)
            yield Result(work, None, error=str(error))
            return
        if there is not None and is_current(there, work.fingerprint):
            yield result_of_another(self.store, work, there)
            return
        lost = StoreError(f"{work.output}: another worker has published another command's outcome")
        self._give_up("cannot publish a run", lost)
        yield Result(work, None, error=str(lost))
