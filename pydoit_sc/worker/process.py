"""Starts runs (by `starter.py`), waits for them and kills them; no other module does.

Each command is a session of its own, so that all it starts can be signalled together, and this process is their
subreaper: what a command leaves behind, a daemon in another session included, becomes our child when its parent
ends, and is found among our children.

An OSError that a method raises is the worker's own trouble: no file descriptors, no memory, no /proc. Nothing is then
concluded from what could not be read.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NamedTuple, NoReturn

from pydoit_sc.linux import adopt_orphans, wake_quickly
from pydoit_sc.proc import Stat, open_children, peak_memory, read_children, read_stats
from pydoit_sc.worker import guardian
from pydoit_sc.worker.descent import attempt_told_by, members, with_descendants
from pydoit_sc.worker.sessions import Sessions
from pydoit_sc.worker.starter import DEFAULTS, Environment, make_starter

#: Names the worker in the environment of its runs.
WORKER_VARIABLE = "PYDOIT_SC_WORKER"

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_WAIT = 86_400.0  # seconds; poll(2) takes no more than 24 days
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UNKILLABLE = 5.0  # seconds to wait for a killed process to go; one that hangs in the kernel is left
_IMPRECISE = 2048  # KiB by which the kernel's count of a process's memory may be behind
#: What the machine lacks for a further process; other errors of a spawn are of its files.
_NO_PROCESS = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_TOO_MANY = "no more processes (`ulimit -u`, or the limit of a control group)"


class Exit(NamedTuple):
    """A process that has ended."""

    pid: int
    code: int  # 0 … 255; 128+n for death by signal n
    cpu_seconds: float
    peak_memory: int | None  # bytes, of its largest process; None where it had less than this one
    clock: float  # the monotonic clock when it was reaped
    killed_by: int = 0  # the signal that its shell died of
    left_behind: int = 0  # processes that were killed when its shell had ended by itself
    error: OSError | None = None  # why it never had its program: it has executed nothing


class Processes:
    """The processes of one worker, for its main thread, within `session()`. Its methods raise OSError."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._sessions = Sessions()
        self._starter = make_starter()
        self._wake_r, self._wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._waking = threading.Lock()  # the pipe is open while it is held
        self._poll = select.poll()
        self._poll.register(self._wake_r, select.POLLIN)
        self._signals: list[int] = []  # stop signals that came and were not asked for yet
        self._child_ended = True  # SIGCHLD has come since children were last waited for
        self._guardian = 0
        self._guardian_pipe = -1
        self._others: set[int] = set()  # children that are left alone, such as what cannot be killed
        self._live: dict[int, str] = {}  # the attempt of each run that was spawned and has not ended
        self._asked: set[int] = set()  # those that were asked to stop, and have their grace
        self._lingering: dict[int, Exit] = {}  # those of them whose shell has ended before the rest
        self._immortal: set[int] = set()  # runs that have become a process of another user
        #: The attempts that a child may belong to which is no shell of ours.
        self._owners: dict[int, frozenset[str]] = {}
        self._children = open_children()
        self._own_peak = 0  # KiB that this process has had at most

    @contextmanager
    def session(self) -> Iterator[None]:
        """Take over signals and orphans and start the guardian, until the end.

        Not undone: files that we were given are closed to programs that we start, and our turns on the processor short.
        """
        for name in os.listdir("/proc/self/fd"):  # what we were given is not for our runs
            if int(name) > 2:
                with suppress(OSError):
                    os.set_inheritable(int(name), False)
        self._others = self._list_children()
        self._guardian_pipe, pipe_w = os.pipe2(os.O_CLOEXEC)
        adopt_orphans(True)
        wake_quickly()
        heeded = [signal.SIGCHLD, *STOP_SIGNALS]
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
            heeded.remove(signal.SIGHUP)
        handlers = {number: signal.signal(number, self._note) for number in heeded}
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, heeded)
        wakeup = signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        try:
            self._spawn_guardian()
            yield
        finally:
            if self._guardian:
                os.kill(self._guardian, signal.SIGKILL)
                os.waitpid(self._guardian, 0)
            for fd in (self._guardian_pipe, pipe_w):
                os.close(fd)
            signal.set_wakeup_fd(wakeup)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            adopt_orphans(False)
            with self._waking:
                os.close(self._wake_r)
                os.close(self._wake_w)
                self._wake_w = -1
            self._sessions.close()
            if self._children is not None:
                os.close(self._children)

    def wake(self) -> None:
        """Make `wait` return; may be called from any thread, also when the session is over."""
        with self._waking, suppress(BlockingIOError):  # full: it will wake anyway
            if self._wake_w >= 0:
                os.write(self._wake_w, b"\0")

    def spawn(self, words: tuple[str, ...], env: Environment, attempt: str, stdout: str, stderr: str) -> int:
        """Start a command in a session of its own and return its pid; raises OSError.

        The first of its words is the path of a program; `env` names the attempt, too, by ATTEMPT_VARIABLE. An error of the
        start may also be told at the end, by `Exit.error`.
        """
        try:
            pid = self._starter.start(words, env, stdout, stderr)
        except BlockingIOError as error:
            raise BlockingIOError(error.errno, _TOO_MANY) from error
        except OSError as error:
            if error.errno not in _NO_PROCESS:
                error.filename = stdout
            raise
        self._live[pid] = attempt
        self._sessions.add(pid)
        return pid

    def wait(self, timeout: float | None) -> None:
        """Wait for a process to end, a signal or `wake`, at most `timeout` seconds (a day)."""
        if self._poll.poll(None if timeout is None else min(max(0, timeout), _LONGEST_WAIT) * 1000 + 1):
            with suppress(BlockingIOError):
                os.read(self._wake_r, 1 << 16)

    def signals(self) -> list[int]:
        """Return the stop signals that have come since the last call."""
        came, self._signals = self._signals, []
        return came

    def _note(self, number: int, _frame: FrameType | None) -> None:
        """Remember a signal; not read from the wake-up pipe, which may be full when it comes."""
        if number == signal.SIGCHLD:
            self._child_ended = True
        else:
            self._signals.append(number)

    def reap(self) -> Iterator[Exit]:
        """Yield every run that has ended; what it left behind is killed first.

        A run ends with its shell. Where the run was asked to stop, the shell may be the first to go, and what it
        had started has the same grace.
        """
        ended = _ended_children() if self._child_ended else ()
        # Before they are waited for: one that ends meanwhile sends its signal again.
        self._child_ended = False
        for pid, status, usage in ended:
            if pid == self._guardian:
                self._replace_guardian(status)
            if pid not in self._live:
                self._owners.pop(pid, None)  # a process that some run left behind
                self._others.discard(pid)
                continue
            code = os.waitstatus_to_exitcode(status)
            cpu, peak = usage.ru_utime + usage.ru_stime, self._peak(usage.ru_maxrss)
            exit_ = Exit(pid, code if code >= 0 else 128 - code, cpu, peak, time.monotonic(), max(0, -code))
            if failed := self._starter.error_of(pid):
                exit_ = exit_._replace(error=OSError(failed, os.strerror(failed)))
            if pid in self._asked and self._has_more(pid):
                self._lingering[pid] = exit_
            else:
                yield self._ended(exit_)
        if self._lingering:
            for pid in [pid for pid in self._lingering if pid not in self._asked or not self._has_more(pid)]:
                yield self._ended(self._lingering.pop(pid))
        for pid in self._immortal.intersection(self._live):
            self._others.add(pid)
            yield self._ended(Exit(pid, 128 + signal.SIGKILL, 0.0, None, time.monotonic()))
        self._immortal.clear()

    def _has_more(self, pid: int) -> bool:
        """Return whether a run whose shell has ended has other processes left."""
        me, ours = os.getpid(), {*self._live, self._guardian, *self._others}
        return any(
            stat.session == pid or self._attempt_of(child) == self._live[pid]
            for child, stat in read_stats().items()
            if stat.parent == me and child not in ours
        )

    def _peak(self, kibibytes: int) -> int | None:
        """Return a run's peak in bytes, as the kernel counts it: with what this process had when it made the child."""
        if kibibytes > self._own_peak:
            self._own_peak = peak_memory() + _IMPRECISE
        return kibibytes * 1024 if kibibytes > self._own_peak else None

    def _ended(self, exit_: Exit) -> Exit:
        attempt = self._live.pop(exit_.pid)
        self._sessions.remove(exit_.pid)
        left, asked = self.kill_leftovers(attempt), exit_.pid in self._asked or exit_.killed_by
        self._asked.discard(exit_.pid)
        return exit_._replace(left_behind=left) if left and not asked else exit_

    def kill_all(self) -> None:
        """Kill every run, whole; never raises."""
        shells = list(self._live)
        try:
            self.signal(signal.SIGKILL)
            self._live.clear()
            self._lingering.clear()
            self.kill_leftovers()
        except OSError:  # what belongs to them cannot be read here; the guardian tries when its pipe ends
            self._guardian = 0
            for pid in shells:
                with suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)

    def kill_leftovers(self, ended: str = "") -> int:
        """Kill our children that belong to no live run, and return how many of the attempt that has ended still ran.

        Called when a run's shell has ended: what it left has become our child. A process of a run that is still
        alive may be among our children, too; its session or its environment shows that, and it is left alone. So is
        for good what cannot be killed: a process of another user, or one that hangs in the kernel.
        """
        ran, until = 0, time.monotonic() + _UNKILLABLE
        while (left := self._leftovers(ended)) and time.monotonic() < until:
            killed = [pid for pid in left if _kill(pid)]
            ends = {pid: end for pid in killed if (end := _reap_one(pid, until)) is not None}
            ran += sum(os.WIFSIGNALED(end) for pid, end in ends.items() if self._owners[pid] == {ended})
            self._others.update({*left} - ends.keys())
            for pid in left:
                self._owners.pop(pid, None)
        return ran

    def leave_alone(self) -> None:
        """Leave the children alone that there are now, when no run is executing: something else here has started them."""
        self._others |= self._list_children() - {self._guardian}

    def _leftovers(self, ended: str) -> list[int]:
        """Return our children that belong to no live run; usually there are as many children as there should be."""
        children = self._list_children()
        if len(children) <= len(self._live) - len(self._lingering) + bool(self._guardian):
            return []
        known, live = {*self._live, self._guardian, *self._others}, set(self._live.values())
        return [pid for pid in children - known if live.isdisjoint(self._owners_of(pid, ended))]

    def _owners_of(self, child: int, ended: str = "") -> frozenset[str]:
        """Return the attempts that a child of ours may belong to; remembered, since reading it is slow.

        A daemon that has written over its environment, or was given none, may be of any run that was there when it was
        seen first, and of the one that has just ended.
        """
        if child not in self._owners:
            told = attempt_told_by(child, self._live)
            self._owners[child] = frozenset([told] if told else filter(None, [*self._live.values(), ended]))
        return self._owners[child]

    def _attempt_of(self, child: int) -> str | None:
        """Return the attempt that a child of ours is sure to belong to, if there is one."""
        owners = self._owners_of(child)
        return next(iter(owners)) if len(owners) == 1 else None

    def sizes(self, leaders: Collection[int]) -> dict[int, dict[int, int]]:
        """Return the resident memory of these runs, by pid: in bytes, of each of their processes."""
        self._starter.settle(_UNKILLABLE)  # until then a child has our own memory
        processes = read_stats()
        sizes: dict[int, dict[int, int]] = {leader: {} for leader in leaders}
        for pid, leader in with_descendants(self._leaders(processes), processes).items():
            if leader in sizes:
                sizes[leader][pid] = processes[pid].resident * _PAGE
        return sizes

    def _leaders(self, processes: Mapping[int, Stat]) -> dict[int, int]:
        """Return the run, by its pid, of each process of its session, and of each child that it has left to us."""
        me, left_alone = os.getpid(), {self._guardian, *self._others}
        leaders = {pid: stat.session for pid, stat in processes.items() if stat.session in self._live}
        runs = {attempt: pid for pid, attempt in self._live.items()}
        for pid, stat in processes.items():
            if stat.parent == me and pid not in leaders and pid not in left_alone:
                attempt = self._attempt_of(pid)
                if attempt in runs:
                    leaders[pid] = runs[attempt]
        return leaders

    def signal(self, number: int, pids: Collection[int] | None = None) -> None:
        """Send a signal to each of these runs, or to all, whole: its session and all that descends from it."""
        leaders = set(self._live if pids is None else pids)
        self._starter.settle(_UNKILLABLE)  # until then a child is in our own session
        if number == signal.SIGKILL:
            self._asked -= leaders
            self.wake()  # what else is to be killed may be in other sessions
        else:
            self._asked |= leaders
        # Parents first: a shell whose child ended before would go on instead of heeding its own trap.
        for pid in members(leaders):
            try:
                os.kill(pid, number)
                if number != signal.SIGKILL:
                    os.kill(pid, signal.SIGCONT)  # a stopped process would not hear it
            except ProcessLookupError:
                continue
            except PermissionError:
                if number == signal.SIGKILL and pid in self._live:
                    self._immortal.add(pid)

    def _spawn_guardian(self) -> None:
        mark = f"{WORKER_VARIABLE}={self._worker}"
        try:
            self._guardian = os.posix_spawn(
                sys.executable,
                (sys.executable, "-I", "-S", guardian.__file__, mark),
                {},
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, self._guardian_pipe, 0),
                    (os.POSIX_SPAWN_DUP2, self._sessions.fd, guardian.TABLE),
                ),
                setsid=True,
                setsigmask=(),
                setsigdef=DEFAULTS,
            )
        except BlockingIOError as error:
            raise BlockingIOError(error.errno, _TOO_MANY) from error

    def _replace_guardian(self, status: int) -> None:
        """Start another guardian if this one was killed; one that ended by itself would do so again."""
        self._guardian = 0
        if os.WIFSIGNALED(status):
            self._spawn_guardian()

    def _list_children(self) -> set[int]:
        """Return our children. The kernel's list may leave one out while another ends, so it is read twice."""
        if self._children is None:
            me = os.getpid()
            return {pid for pid, stat in read_stats().items() if stat.parent == me}
        return {int(pid) for pid in (*read_children(self._children), *read_children(self._children))}


def become(words: tuple[str, ...], env: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command in the foreground; raises OSError."""
    for number in DEFAULTS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve(words[0], words, env)


def _ended_children() -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """Yield the children of this process that have ended, with status and usage, until none is left."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status, usage


def _kill(pid: int) -> bool:
    """Kill a child; return False where it is another user's."""
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        return False
    except ProcessLookupError:
        pass
    return True


def _reap_one(pid: int, until: float) -> int | None:
    """Return the wait status of a child that has ended by then; 0 if it was gone, None if it still lives."""
    while time.monotonic() < until:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        if ended:
            return status
        time.sleep(0.0005)
    return None
