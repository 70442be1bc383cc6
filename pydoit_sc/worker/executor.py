"""The worker's event loop: runs start as ranks come free, and end as published outcomes.

The loop is one thread. When a run's shell ends, what it left behind is killed, its rank goes to the next run, and
only then are its last files written and the attempt staged and committed. A retry is a further attempt on the
same rank; only the last one is published. After a stop signal nothing more starts, the runs get SIGTERM, then
SIGKILL when their grace is over, and nothing that was still executing is published. The same where a disk is full:
what was executing then may have been cut.

A stop signal that goes to all processes of a machine may end a run a moment before the worker hears of it. So an
attempt that dies of such a signal, which the worker did not send, is held back for that moment, with its rank, and
dropped if the worker is stopped meanwhile. An attempt that is dropped is no failure, and uses up no retry.

What the worker itself lacks (a disk, descriptors, memory, processes) is never an outcome of a run: it ends the worker.
"""

from __future__ import annotations

import errno
import heapq
import os
import secrets
import shutil
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from pydoit_sc.batch import Run, Settings
from pydoit_sc.errors import reason
from pydoit_sc.files import FOLDER_MODE
from pydoit_sc.store import Finished, Live, Outcome, Record, Staged, Store, StoreError
from pydoit_sc.store.layout import RESULTS, RUN_JSON, STATUS_CODE, STDERR, STDOUT, Provenance
from pydoit_sc.store.manifest import sizes
from pydoit_sc.worker.disks import Disks
from pydoit_sc.worker.process import ATTEMPT_VARIABLE, STOP_SIGNALS, WORKER_VARIABLE, Exit, Processes
from pydoit_sc.worker.stager import Stager

TIMED_OUT = 124  # of a run that was told to stop for its time and then claimed success, as timeout(1) has it
FORGET_DEADLINES = 1000
COMMITS = 8  # in a row, before the loop looks for runs that have ended
ANNOUNCE_EVERY = 1.0  # seconds
LOOK_EVERY = 0.2  # seconds between two looks at the disks while runs are executing
HOLD = 1.0  # seconds for which an attempt that died of a stop signal waits for the worker's own
STOPPED_CODES = frozenset(128 + number for number in STOP_SIGNALS)
TAIL = 2000  # bytes of a failed run's stderr that are shown
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE)

T = TypeVar("T")


class _End(Enum):
    """The type of the mark that ends an iterator of jobs."""

    END = 0


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """A run to execute, and what the caller wants to have back with its result."""

    run: Run
    output: str  # the URL that the run is told, SATURN_RUN_REMOTE_OUTPUT_PATH
    fingerprint: str
    known: Record | None  # what the store said when the plan was made
    tag: T


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """How a job ended: with a record in the store, ours or another worker's, or else with an error."""

    job: Job[T]
    record: Record | None
    executed: bool = True  # False: another worker had completed it before it was started
    seconds: float = 0.0
    stderr_tail: bytes = b""  # of a failed run
    error: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a worker."""

    nprocs: int
    max_failures: int | None = None  # stop starting runs after so many
    gpus: Sequence[str] | None = None  # rank r sees gpus[r] alone
    scratch: str | None = None
    ends_at: float | None = None  # seconds since the epoch, when the machine will be taken away


@dataclass(slots=True)
class _Attempt(Generic[T]):
    job: Job[T]
    id: str
    rank: int
    folder: str
    started: float  # seconds since the epoch
    clock: float  # the monotonic clock at that moment
    retry_codes: tuple[int, ...]
    timed_out: bool = False


@dataclass(slots=True)
class Executor(Generic[T]):
    """Executes jobs, `limits.nprocs` at once, and publishes their outcomes in `store`."""

    store: Store
    limits: Limits
    submission: str = ""
    chunk: str = ""  # a name for what it executes, which two workers should not do at once
    worker: str = field(default_factory=lambda: secrets.token_hex(5))
    attempts: int = 0  # that were started
    failures: int = 0
    stopped_by: int = 0  # the stop signal that ended it, 0 if none did
    error: str = ""  # why the worker gave up, if it did
    out_of_time: bool = False  # it left runs to another worker, since the machine's time was nearly over

    _stopping: bool = False  # nothing more is started
    _dropping: bool = False  # nor is what is executing published
    _folder: str = ""
    _host: str = field(default_factory=socket.gethostname)
    _ranks: list[int] = field(default_factory=list)  # a heap of those that are free
    _live: dict[int, _Attempt[T]] = field(default_factory=dict)  # by pid
    _deadlines: list[tuple[float, int, str, int]] = field(default_factory=list)  # when, pid, attempt, signal
    _announced: tuple[int, ...] = ()  # the pids of the runs that others were told of
    _announce_at: float = 0.0
    _held: deque[tuple[float, _Attempt[T], Exit]] = field(default_factory=deque)  # until when, and what
    _longest: float = 0.0  # seconds that an attempt has taken
    _disks: Disks = field(default_factory=Disks)
    _look_at: float = 0.0
    _environments: dict[int, tuple[Settings, dict[str, str]]] = field(default_factory=dict)
    _processes: Processes = field(init=False)
    _stager: Stager[Result[T]] = field(init=False)

    @property
    def running(self) -> int:
        """How many runs are executing now."""
        return len(self._live)

    @property
    def failed_too_often(self) -> bool:
        """Whether as many runs have failed as the worker bears."""
        return self.limits.max_failures is not None and self.failures >= self.limits.max_failures

    def run(self, jobs: Iterator[Job[T] | None]) -> Iterator[Result[T]]:
        """Yield a result for every job, as they end; None from `jobs` means that none is ready before one has.

        Raises StoreError where the store cannot be written at all. After the end, `stopped_by`, `error` and
        `out_of_time` say whether it ended early; jobs that were executing then have no result.
        """
        try:
            yield from self._run(jobs)
        except OSError as error:
            self.stop(f"the worker cannot go on: {reason(error)}")

    def _run(self, jobs: Iterator[Job[T] | None]) -> Iterator[Result[T]]:
        self._ranks = list(range(self.limits.nprocs))
        self._announce_at = time.monotonic() + ANNOUNCE_EVERY  # what ends within it need not be told
        with self.store.workspace(self.worker, self.limits.scratch, self.chunk) as folder:
            self._folder = folder
            self._processes = Processes(self.worker)
            self._stager = Stager(self.store, self._processes.wake)
            with self._processes.session():
                try:
                    self._disks.watch(folder)
                    self._look_at_disks()
                    yield from self._loop(jobs)
                    self.store.settle()
                finally:
                    self._processes.kill_all()
                    self._stager.close()
                    self._disks.close()

    def stop(self, error: str = "") -> None:
        """Start nothing more; what is executing goes on to its end."""
        self.error = self.error or error
        self._stopping = True

    def _give_up(self, what: str, error: OSError | StoreError) -> None:
        """Stop for an error; where a disk is why, what is executing may suffer from it, too."""
        self.stop(f"{what}: {reason(error)}")
        if isinstance(error, OSError) and error.errno in _DISK and not self._dropping:
            self._drop(signal.SIGTERM)

    def _loop(self, jobs: Iterator[Job[T] | None]) -> Iterator[Result[T]]:
        ended: list[tuple[_Attempt[T], Exit]] = []
        while True:
            held = False
            while self._ranks and not self._stopping and not held:
                job = next(jobs, _End.END)
                if job is None or job is _End.END:
                    held = job is None
                    break
                if self._too_late():
                    break
                result = self._begin(job)
                if result:
                    yield result
            for attempt, exit_ in ended:  # only now: the ranks they held are already executing the next runs
                self._finish(attempt, exit_)
            # More than have ended, or what waits for its commit would grow without end.
            published = self._stager.take(COMMITS + len(ended))
            for staged, result in published:
                yield self._commit(staged, result)
            ended = self._attend()
            if published or ended:
                continue
            if not self._live and not self._held and not self._stager.pending:
                return
            self._stager.hurry(held or not self._live)
            self._processes.wait(self._until_next())
            ended = self._attend()

    def _begin(self, job: Job[T]) -> Result[T] | None:
        """Start a job on the lowest free rank; a result at once if it cannot or need not be started."""
        try:
            now = self._completed(job)
            if now:
                return Result(job, now, executed=False)
            self._start(job, heapq.heappop(self._ranks), ())
        except (OSError, StoreError) as error:
            self._give_up("cannot start a run", error)
            return Result(job, None, executed=False, error=reason(error))
        return None

    def _completed(self, job: Job[T]) -> Record | None:
        """Return the outcome with which another worker has completed a run since the plan was made."""
        now = self.store.peek(job.run.key)
        return now if now and now.code == 0 and now.attempt != (job.known and job.known.attempt) else None

    def _too_late(self) -> bool:
        """Say whether the machine's time may not suffice for another attempt; if so, stop."""
        ends_at = self.limits.ends_at
        if ends_at is None or time.time() + self._longest < ends_at:
            return False
        self.out_of_time = True
        self.stop()
        return True

    def _start(self, job: Job[T], rank: int, retry_codes: tuple[int, ...]) -> None:
        self.attempts += 1
        attempt = f"{self.worker}-{self.attempts}"
        folder = f"{self._folder}/{attempt}"
        os.mkdir(folder, FOLDER_MODE)
        results = job.run.local_results_dir or f"{folder}/{RESULTS}"
        os.mkdir(f"{folder}/{RESULTS}", FOLDER_MODE)
        if job.run.local_results_dir:
            _make_empty(results, attempt)
            self._disks.watch(results)
        env = self._environment(job.run.settings).copy()
        env["SATURN_RUN_LOCAL_RANK"] = str(rank)
        env["SATURN_RUN_LOCAL_RESULTS_DIR"] = results
        env["SATURN_RUN_REMOTE_OUTPUT_PATH"] = job.output
        env[ATTEMPT_VARIABLE] = attempt
        if self.limits.gpus is not None:
            env["CUDA_VISIBLE_DEVICES"] = self.limits.gpus[rank]
        started, clock = time.time(), time.monotonic()
        pid = self._processes.spawn(job.run.cmd, env, f"{folder}/{STDOUT}", f"{folder}/{STDERR}")
        self._live[pid] = _Attempt(job, attempt, rank, folder, started, clock, retry_codes)
        if job.run.settings.timeout is not None:
            self._at(clock + job.run.settings.timeout, pid, signal.SIGTERM)

    def _environment(self, settings: Settings) -> dict[str, str]:
        """Return the environment that runs of these settings share, made once."""
        known = self._environments.get(id(settings))
        if known is None:
            env = {**os.environ, WORKER_VARIABLE: self.worker, **settings.env}
            known = self._environments[id(settings)] = (settings, env)
        return known[1]

    def _at(self, when: float, pid: int, number: int) -> None:
        if len(self._deadlines) > 4 * len(self._live) + FORGET_DEADLINES:  # most are of runs that have ended
            ids = {attempt.id for attempt in self._live.values()}
            self._deadlines = [deadline for deadline in self._deadlines if deadline[2] in ids]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (when, pid, self._live[pid].id, number))

    def _attend(self) -> list[tuple[_Attempt[T], Exit]]:
        """Heed what has happened; return the attempts that are over and are to be published."""
        signals = self._processes.signals()
        ended = self._reap(signalled=bool(signals))  # first: what ended before the signal came is finished
        for number in signals:
            self._interrupt(number)
        self._expire()
        self._announce()
        return ended

    def _until_next(self) -> float | None:
        """Return the seconds until the loop has something to do by itself, None if never."""
        times = [self._deadlines[0][0]] if self._deadlines else []
        if self._announced != tuple(self._live):
            times.append(self._announce_at)
        if self._live:
            times.append(self._look_at)
        if self._held:
            times.append(self._held[0][0])
        return min(times) - time.monotonic() if times else None

    def _announce(self) -> None:
        """Let others know what is executing, if that has changed, once a second at most."""
        now, pids = time.monotonic(), tuple(self._live)
        if pids != self._announced and now >= self._announce_at:
            self._announced, self._announce_at = pids, now + ANNOUNCE_EVERY
            live = {a.job.run.key: Live(self._host, a.folder, a.started) for a in self._live.values()}
            with suppress(StoreError):  # nothing rests on it
                self.store.announce(self.worker, live)

    def _reap(self, *, signalled: bool) -> list[tuple[_Attempt[T], Exit]]:
        """Return the attempts that are over; `signalled`: a stop signal has come, and may be why some failed."""
        exits = [(self._live.pop(exit_.pid), exit_) for exit_ in self._processes.reap()]
        now = time.monotonic()
        due = bool(self._held) and self._held[0][0] <= now
        if exits or due or (self._live and now >= self._look_at):
            self._look_at_disks()
        ended = []
        for attempt, exit_ in exits:
            code = _code(attempt, exit_)
            self._longest = max(self._longest, exit_.clock - attempt.clock)
            if self._dropping or (signalled and code):
                heapq.heappush(self._ranks, attempt.rank)
            elif code in STOPPED_CODES and not attempt.timed_out:
                self._held.append((exit_.clock + HOLD, attempt, exit_))
            elif self._is_over(attempt, exit_):
                ended.append((attempt, exit_))
        while due and not signalled:
            _, attempt, exit_ = self._held.popleft()
            if self._is_over(attempt, exit_):
                ended.append((attempt, exit_))
            due = bool(self._held) and self._held[0][0] <= now
        return ended

    def _is_over(self, attempt: _Attempt[T], exit_: Exit) -> bool:
        """Give an attempt's rank to its retry, or else back; True if it is to be published."""
        if self._retried(attempt, exit_):
            return False
        heapq.heappush(self._ranks, attempt.rank)
        self._count(_code(attempt, exit_))
        return True

    def _look_at_disks(self) -> None:
        """Give up if one is full: what is executing may have been cut, and what ends then says nothing."""
        self._look_at = time.monotonic() + LOOK_EVERY
        full = self._disks.full()
        if full and not self._dropping:
            self.stop(f"{full}; what was executing is incomplete: free some space and start again")
            self._drop(signal.SIGTERM)

    def _drop(self, number: int) -> None:
        """End what is executing, with SIGKILL after its grace at the latest, and publish none of it."""
        self._dropping = True
        self._processes.signal(number)
        for pid, attempt in self._live.items():
            self._at(time.monotonic() + attempt.job.run.settings.grace, pid, signal.SIGKILL)

    def _count(self, code: int) -> None:
        """Count a failure before its rank goes to another run, and stop if it is one too many."""
        self.failures += code != 0
        if self.failed_too_often:
            self.stop()

    def _retried(self, attempt: _Attempt[T], exit_: Exit) -> bool:
        """Start a further attempt if there is to be one; True also where that was not possible any more."""
        code, settings = _code(attempt, exit_), attempt.job.run.settings
        wanted = settings.retry_on is None or code in settings.retry_on
        if code == 0 or self._stopping or not wanted or len(attempt.retry_codes) >= settings.retries:
            return False
        try:
            if self._completed(attempt.job):  # then what is published is that worker's outcome
                return False
            shutil.rmtree(attempt.folder, ignore_errors=True)
            if self._too_late():
                return True
            self._start(attempt.job, attempt.rank, (*attempt.retry_codes, code))
        except (OSError, StoreError) as error:
            self._give_up("cannot start a run", error)
        return True

    def _interrupt(self, number: int) -> None:
        """Stop for a signal: SIGTERM to all runs, SIGKILL after their grace, or at once if asked again."""
        again = bool(self.stopped_by)
        self.stopped_by = self.stopped_by or number
        self.stop()
        self._held.clear()
        self._drop(signal.SIGKILL if again else signal.SIGTERM)

    def _expire(self) -> None:
        """Signal the runs whose time, or whose grace, is over."""
        while self._deadlines and self._deadlines[0][0] <= time.monotonic():
            _, pid, attempt_id, number = heapq.heappop(self._deadlines)
            attempt = self._live.get(pid)
            if attempt is None or attempt.id != attempt_id:
                continue
            self._processes.signal(number, [pid])
            if number == signal.SIGTERM:
                attempt.timed_out = True
                self._at(time.monotonic() + attempt.job.run.settings.grace, pid, signal.SIGKILL)

    def _finish(self, attempt: _Attempt[T], exit_: Exit) -> None:
        """Write the attempt's last files and have it published."""
        job, code = attempt.job, _code(attempt, exit_)
        seconds = exit_.clock - attempt.clock
        try:
            files = _sizes(attempt)
            tail = _tail(f"{attempt.folder}/{STDERR}") if code else b""
        except OSError as error:
            self._give_up("cannot read a run's output", error)
            return
        provenance = Provenance(
            cmd=job.run.cmd,
            fingerprint=job.fingerprint,
            attempt=attempt.id,
            status_code=code,
            host=self._host,
            rank=attempt.rank,
            started=attempt.started,
            finished=attempt.started + seconds,
            cpu_seconds=exit_.cpu_seconds,
            peak_memory=exit_.peak_memory,
            retry_codes=attempt.retry_codes,
            timed_out=attempt.timed_out,
            submission=self.submission,
            files=files,
        )
        try:
            _write(f"{attempt.folder}/{RUN_JSON}", provenance.to_json())
            _write(f"{attempt.folder}/{STATUS_CODE}", b"%d" % code)
        except OSError as error:
            self._give_up("cannot write a run's output", error)
            return
        record = Record(code, attempt.id, job.fingerprint, self.submission)
        result = Result(job, record, seconds=seconds, stderr_tail=tail)
        supersedes = job.known.attempt if job.known else None
        finished = Finished(job.run.key, attempt.id, attempt.folder, job.run.local_results_dir, supersedes)
        self._stager.put(finished, result)

    def _commit(self, staged: Staged | StoreError, result: Result[T]) -> Result[T]:
        """Publish a staged attempt; return its result, or what came of it instead."""
        job = result.job
        try:
            if isinstance(staged, StoreError):
                raise staged
            if self.store.commit(staged) is Outcome.PUBLISHED:
                return result
            there = self.store.scan([job.run.key]).get(job.run.key)
            if there is None or there.fingerprint not in ("", job.fingerprint):
                raise StoreError(f"{job.output}: another worker has published another command's outcome")
            return Result(job, there, executed=False)
        except StoreError as error:
            self._give_up("cannot publish a run", error)
            return Result(job, None, error=str(error))


def _code(attempt: _Attempt[T], exit_: Exit) -> int:
    """Return the run's status code; a run that had to be told to stop has not succeeded."""
    return TIMED_OUT if attempt.timed_out and exit_.code == 0 else exit_.code


def _sizes(attempt: _Attempt[T]) -> dict[str, int]:
    """Return the sizes of all that an attempt has written, by path below its output."""
    found = sizes(attempt.folder)
    elsewhere = attempt.job.run.local_results_dir
    if elsewhere and os.path.isdir(elsewhere):
        found.update({f"{RESULTS}/{name}": size for name, size in sizes(elsewhere).items()})
    return found


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        while data:  # a disk that is nearly full takes a part
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def _tail(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        return file.read()


def _make_empty(folder: str, attempt: str) -> None:
    """Make the results folder that a chunk of `sc` names; what an earlier attempt left there is moved aside."""
    with suppress(FileNotFoundError):
        if os.listdir(folder):
            os.rename(folder, f"{folder.rstrip('/')}.before-{attempt}")
    os.makedirs(folder, exist_ok=True)
