"""One attempt at a run: its folder and environment before it starts, its outcome as files when it has ended.

An attempt has a folder of its own, which holds the whole output: stdout and stderr, which the run appends to, the
results folder, and at the end `run.json` and `status_code`. Nothing here decides whether the outcome is published.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quote  # `json.dumps` of a text

from pydoit_sc import ends
from pydoit_sc.batch import Settings
from pydoit_sc.files import FOLDER_MODE, is_file
from pydoit_sc.fingerprint import digest_variables
from pydoit_sc.git import commit_of
from pydoit_sc.ledger import Work
from pydoit_sc.store import Finished, Record, Staged, StoreError
from pydoit_sc.store.copying import discard, kept_files, size_of
from pydoit_sc.store.digests import digests
from pydoit_sc.store.layout import RESULTS, RUN_JSON, STATUS_CODE, STDERR, STDOUT
from pydoit_sc.worker import cgroup, salvage
from pydoit_sc.worker.descent import ATTEMPT_VARIABLE
from pydoit_sc.worker.lastfiles import make_last_files
from pydoit_sc.worker.process import WORKER_VARIABLE, Exit
from pydoit_sc.worker.results import Limits, Result
from pydoit_sc.worker.starter import Environment

TIMED_OUT = 124  # of a run that was told to stop for its time and then claimed success, as timeout(1) has it
TOO_LARGE = 137  # of a run that was killed for its memory, and had just claimed success
NOT_STARTED = 126  # of a command that the kernel does not take, as shells have it
SPOILT = 125  # of a run that claims success, and whose output cannot be kept
GIVEN_UP = 125  # of a run that is not executed again, since MOST_DEATHS workers in a row died while they did
MOST_DEATHS = 3
_PLANTED = 100  # names in a row that a run may have taken from the attempts to come
#: What a run can do to its output; every other error is the worker's.
_RUNS = (
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG,
    errno.ENXIO,
)  # fmt: skip
_PLACES = frozenset({STDOUT, STDERR, RESULTS})
_CORES_OF_ALL = frozenset({"SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"})
#: Bytes, and files, of an output whose digests are made at once: 0.1 ms of the loop.
_LITTLE, _FEW = 1 << 15, 16
_RANK, _GPUS = "SATURN_RUN_LOCAL_RANK", "CUDA_VISIBLE_DEVICES"
_RESULTS_DIR, OUTPUT_PATH = "SATURN_RUN_LOCAL_RESULTS_DIR", "SATURN_RUN_REMOTE_OUTPUT_PATH"
_TAIL = 2000  # bytes of a failed run's stderr that are shown
#: Of so many attempts of a run that a worker retries, so many last bytes of stdout and stderr are kept in the history.
KEPT, KEPT_END = 10, 64 << 10


@dataclass(slots=True, eq=False, repr=False)
class Attempt:
    """An attempt that is executing, or has just ended."""

    work: Work
    id: str
    ranks: Sequence[int]  # that it holds, the lowest first
    folder: str
    started: float  # seconds since the epoch
    clock: float  # the monotonic clock at that moment
    retry_codes: tuple[int, ...]  # status codes of the attempts before
    timed_out: bool = False
    over_memory: bool = False  # it has been killed, since it used more than it may
    dropped: bool = False  # it is told to end, and is not published
    for_memory: bool = False  # the kernel has killed it, or a part of it, for want of memory
    retried: bool = False  # another one has followed: it is not published, but kept in the history
    refused: str = ""  # why the run was not started; a retry would not help
    spoilt: str = ""  # what the run has done to its own output, so that not all of it can be kept

    @property
    def settings(self) -> Settings:
        """How its run is executed."""
        return self.work.run.settings

    @property
    def stdout(self) -> str:
        """The file of its standard output."""
        return f"{self.folder}/{STDOUT}"

    @property
    def stderr(self) -> str:
        """The file of its standard error."""
        return f"{self.folder}/{STDERR}"

    @property
    def results(self) -> str:
        """The folder of its results."""
        return f"{self.folder}/{RESULTS}"

    def make_folders(self) -> None:
        """Make the folders that the run finds; raises OSError."""
        try:
            os.mkdir(self.folder, FOLDER_MODE)
        except FileNotFoundError:  # a run has removed what it lies in
            os.makedirs(os.path.dirname(self.folder), 0o700)
            os.mkdir(self.folder, FOLDER_MODE)
        os.mkdir(self.results, FOLDER_MODE)

    def refuse(self, code: int, why: str) -> tuple[float, tuple[Attempt, Exit]]:
        """Return the outcome of a run that is not started, and its time by the clock of attempts; raises OSError."""
        for path in (self.stdout, self.stderr):
            open(path, "ab").close()
        self.refused = why
        return self.clock, (self, Exit(0, code, 0.0, 0, self.clock))

    def code(self, exit_: Exit) -> int:
        """Return the status code; a run that had to be told to stop, or has spoilt its output, has not succeeded."""
        if exit_.code == 0 and (self.timed_out or self.over_memory):
            return TOO_LARGE if self.over_memory else TIMED_OUT
        return SPOILT if exit_.code == 0 and self.spoilt else exit_.code

    def has_retry(self, code: int) -> bool:
        """Return whether there is to be another attempt after this one has ended with a status code."""
        settings = self.settings
        wanted = code != 0 and (settings.retry_on is None or code in settings.retry_on)
        return wanted and not self.refused and len(self.retry_codes) < settings.retries

    def is_removed(self, staged: Staged | StoreError) -> bool:
        """Return whether another run has removed the folder that was to be published; False where that cannot be told."""
        folder = staged.folder if isinstance(staged, Staged) else self.folder
        try:
            os.lstat(folder)
        except FileNotFoundError:
            return bool(folder)  # where there is none, the store has been told all
        except OSError:
            pass
        return False

    def make_room(self) -> None:
        """Remove what it has left, since it is retried, but for the ends of its stdout and stderr; raises OSError."""
        if len(self.retry_codes) >= KEPT:
            discard(self.folder)
            return
        tried, self.folder, self.retried = self.folder, f"{self.folder}.tried", True
        salvage.keep_ends(tried, self.folder, KEPT_END)

    def reason(self, exit_: Exit) -> str:
        """Return why it failed, where that was not its own exit code."""
        timeout = self.settings.timeout if self.timed_out else None
        memory = self.settings.memory if self.over_memory else None
        killed_by, for_memory = exit_.killed_by, self.for_memory
        was_killed = for_memory or killed_by == signal.SIGKILL
        peak = ends.peak_of(exit_.peak_memory or 0, cgroup.memory().total) if was_killed else ""
        why = ends.reason(
            timeout=timeout, memory=memory, killed_by=killed_by, for_memory=for_memory, peak=peak
        )
        return "; ".join(filter(None, (why, self.refused, self.spoilt)))

    def tail(self) -> bytes:
        """Return the end of its stderr, which is known to be a file."""
        with open(self.stderr, "rb", opener=_open_plain) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return file.read()


class Attempts:
    """Makes a worker's attempts, each with a folder of its own below one, their environments and their last files.

    `copied`: what they have written is read to be published, so a file that cannot be read is spoilt, too.
    """

    def __init__(
        self,
        worker: str,
        folder: str,
        limits: Limits,
        submission: str = "",
        *,
        copied: bool = False,
    ) -> None:
        self.count = 0
        self._host, self._submission, self._copied = os.uname().nodename, submission, copied
        self._last = make_last_files()
        self._worker, self._folder, self._gpus = worker, folder, limits.gpus
        self._outer = outer_environment(os.environ, alone=limits.nprocs == 1)
        commit = commit_of(os.getcwd())
        self._code = f'"code": {_object({"commit": commit.id, "dirty": commit.dirty})}, ' if commit else ""
        self._own = {
            _RANK,
            _RESULTS_DIR,
            OUTPUT_PATH,
            ATTEMPT_VARIABLE,
            *([_GPUS] if limits.gpus is not None else []),
        }
        self._settings: Settings | None = None  # of the last run, and what runs with them have in common
        self._common: dict[str, str] = {}

    def make(self, work: Work, ranks: Sequence[int], retry_codes: tuple[int, ...]) -> Attempt:
        """Make an attempt and its folder; runs may have taken its name, or removed the folder that it lies in."""
        for _ in range(_PLANTED):
            self.count += 1
            name = f"{self._worker}-{self.count}"
            folder = f"{self._folder}/{name}"
            now, clock = time.time(), time.monotonic()
            attempt = Attempt(work, name, ranks, folder, now, clock, retry_codes)
            with suppress(FileExistsError):
                attempt.make_folders()
                return attempt
        raise FileExistsError(errno.EEXIST, f"runs have taken {_PLANTED} names for attempts", folder)

    def environment(self, attempt: Attempt) -> Environment:
        """Return the environment of an attempt; what runs in a row have in common is one and the same mapping."""
        settings = attempt.settings
        if settings is not self._settings:
            common = {**self._outer, **settings.env, WORKER_VARIABLE: self._worker}
            self._common = {name: value for name, value in common.items() if name not in self._own}
            self._settings = settings
        own = {
            _RANK: str(attempt.ranks[0]),
            _RESULTS_DIR: f"{attempt.results}/",  # as `sc` has it: commands may append a name
            OUTPUT_PATH: attempt.work.output,
            ATTEMPT_VARIABLE: attempt.id,
        }
        if self._gpus is not None:
            own[_GPUS] = ",".join([self._gpus[rank] for rank in attempt.ranks])
        return Environment(self._common, own)

    def conclude(self, attempt: Attempt, exit_: Exit) -> tuple[Finished, Result]:
        """Write an attempt's `run.json` and `status_code`; return what is to be published, and its result.

        Where the run has spoilt its output, that is its own failure, and what can be kept is kept. Raises OSError for what
        the worker lacks.
        """
        try:
            return self._conclude(attempt, exit_)
        except OSError as error:
            if error.errno not in _RUNS:
                raise
            attempt.spoilt, spoilt = salvage.reason(error, attempt.folder), attempt.folder
            attempt.folder = f"{spoilt}.kept"
            salvage.keep(spoilt, attempt.folder)
            return self._conclude(attempt, exit_)

    def _conclude(self, attempt: Attempt, exit_: Exit) -> tuple[Finished, Result]:
        work, code = attempt.work, attempt.code(exit_)
        reason = attempt.reason(exit_) if code else ""
        seconds = exit_.clock - attempt.clock
        started, ended = _milliseconds(attempt.started), _milliseconds(attempt.started + seconds)
        cpu = _milliseconds(exit_.cpu_seconds)
        sizes = self._sizes(attempt.folder)
        digested = len(sizes) <= _FEW and sum(sizes.values()) <= _LITTLE
        md5s = dict(digests(attempt.folder, sizes)) if digested else {}
        files = ", ".join([_entry(name, size, md5s.get(name)) for name, size in sizes.items()])
        # By hand, since one is written for every run; a test compares it with the model, `Provenance`.
        said = (
            f'{{"fingerprint": {_quote(work.fingerprint)}, "attempt": {_quote(attempt.id)}, '
            + (f'"submission": {_quote(self._submission)}, ' if self._submission else "")
            + f'"status_code": {code}, '
            + (f'"reason": {_quote(reason)}, ' if reason else "")
            + f'"started": {started:.3f}, "finished": {ended:.3f}, "host": {_quote(self._host)}, '
            f'"rank": {attempt.ranks[0]}, "cpu_seconds": {cpu:.3f}, '
            + ("" if exit_.peak_memory is None else f'"peak_memory": {exit_.peak_memory}, ')
            + f'"files": {{{files}}}, "cmd": {_quote(work.run.cmd)}, '
            f'"retry_codes": {[*attempt.retry_codes]}, "timed_out": {"true" if attempt.timed_out else "false"}, '
            + (f'"left_behind": {exit_.left_behind}, ' if exit_.left_behind else "")
            + (f'"axes": {_object(work.axes)}, ' if work.axes else "")
            + (f'"env": {_object(digest_variables(env))}, ' if (env := attempt.settings.env) else "")
            + (f'"file_dep": {_object(work.files)}, ' if work.files else "")
            + self._code
            + f'"seconds": {seconds:.3f}, "retries": {len(attempt.retry_codes)}}}'
        )
        self._last.write(f"{attempt.folder}/{RUN_JSON}", said.encode())
        self._last.write(f"{attempt.folder}/{STATUS_CODE}", b"%d" % code)
        supersedes = work.known.attempt if work.known else None
        memory = exit_.peak_memory or 0
        record = Record(
            code, attempt.id, work.fingerprint, self._submission, reason, started, ended, self._host, memory,
            attempt.ranks[0], cpu,
        )  # fmt: skip
        tail = attempt.tail() if code else b""
        published = None if attempt.retried else record
        result = Result(work, published, seconds=seconds, stderr_tail=tail, left_behind=exit_.left_behind)
        finished = Finished(
            work.run.key, attempt.id, attempt.folder, supersedes, work.fingerprint, digested, attempt.retried
        )
        return finished, result

    def _sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of each file that is to be kept, by path below the attempt's folder."""
        if not self._copied and (plain := self._last.plain_sizes(folder)):
            return plain
        found = {}
        for name, entry in kept_files(folder):
            if name in _PLACES and (name == RESULTS or entry.is_symlink()):
                raise OSError(errno.EEXIST, "the run has put something else there", name)
            if self._copied and is_file(entry.path) and not os.access(entry.path, os.R_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES), name)
            found[name] = size_of(folder, entry.path)
        for name in (STDOUT, STDERR):
            if name not in found:
                raise OSError(errno.ENOENT, "the run has removed it", name)
        return found


def outer_environment(env: Mapping[str, str], *, alone: bool) -> dict[str, str]:
    """Return what runs get of the worker's environment: all but what is said to this worker and would mislead another.

    Ours (`PYDOIT_SC_REQUEUE`) make a worker that a run starts queue the outer job again; the cores that Slurm has given are
    those of all runs together. `alone`: one run at a time, which has them all. A variable without a name, which other
    programs can make, is none that posix_spawn takes.
    """
    return {
        name: value
        for name, value in env.items()
        if name and not name.startswith("PYDOIT_SC_") and (alone or name not in _CORES_OF_ALL)
    }


def _milliseconds(seconds: float) -> float:
    """Return a time to the millisecond, as `round` does, at a fifth of its price."""
    return int(seconds * 1000 + 0.5) / 1000


def _entry(name: str, size: int, md5: str | None) -> str:
    """Return what `run.json` says of a file."""
    return f'{_quote(name)}: {{"size": {size}' + (f', "md5": "{md5}"}}' if md5 else "}")


def _object(values: Mapping[str, str | int | float | bool]) -> str:
    """Return what `json.dumps` makes of a table of plain values.

    >>> _object({"x": 1, "on": True, "y": "a"})
    '{"x": 1, "on": true, "y": "a"}'
    """
    return f"{{{', '.join([f'{_quote(key)}: {_plain(value)}' for key, value in values.items()])}}}"


def _plain(value: str | int | float | bool) -> str:
    if isinstance(value, str):
        return _quote(value)
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def _open_plain(path: str, flags: int) -> int:
    """Open a file that no link leads away from, and no pipe holds up; an `opener` for `open`."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
