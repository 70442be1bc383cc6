"""What the kernel says of processes: the parent, the session, the start and the memory of each."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

# What a look at a process answers when the process has ended meanwhile, or is not ours to see.
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)

_LONGEST = 4096  # bytes of a `stat`: some 50 numbers


class Stat(NamedTuple):
    """A process, as `/proc/PID/stat` describes it (proc_pid_stat(5))."""

    state: str  # one letter; `Z` and `X` are processes that have ended
    parent: int
    session: int
    started: str  # clock ticks since the machine was started
    resident: int  # pages of memory

    @property
    def ended(self) -> bool:
        """Whether only the exit code of the process is left."""
        return self.state in "ZX"


def read_stat(pid: int | str) -> Stat | None:
    """Return a process, or None if there is none; raises OSError where /proc cannot be read."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)  # `open` makes seven system calls more
        try:
            text = os.read(fd, _LONGEST)
        finally:
            os.close(fd)
    except GONE:
        return None
    fields = text.rpartition(b")")[2].split()  # a program's name may hold spaces and `)`
    return Stat(fields[0].decode(), int(fields[1]), int(fields[3]), fields[19].decode(), int(fields[21]))


def read_stats() -> dict[int, Stat]:
    """Return every process by its id; raises OSError."""
    stats = ((int(name), read_stat(name)) for name in os.listdir("/proc") if name.isdigit())
    return {pid: stat for pid, stat in stats if stat is not None}


def open_children() -> int | None:
    """Open the kernel's list of our children; None where the kernel has none (CONFIG_PROC_CHILDREN)."""
    try:
        return os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def read_children(fd: int) -> list[bytes]:
    """Return the ids of our children from the kernel's list, which is open; raises OSError."""
    size = 1 << 12
    while len(words := os.pread(fd, size, 0)) == size:
        size *= 16
    return words.split()


def resident_size(pid: int) -> int | None:
    """Return the resident memory of a process in bytes, of shared pages its share; None where the kernel does not tell.

    The kernel looks at each page: a process of some gigabytes takes it milliseconds.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:")), None)
    except OSError:
        return None


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in KiB; raises OSError."""
    with open("/proc/self/status", "rb") as file:
        return next((int(line.split()[1]) for line in file if line.startswith(b"VmHWM:")), 0)


def boot_id() -> str:
    """Return what tells this start of the machine from every other one; raises OSError."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


@cache
def machine() -> str:
    """Return what tells this machine, this start of it and this container from all others; raises OSError."""
    return f"{os.uname().nodename} {boot_id()} {os.readlink('/proc/self/ns/pid')}"


def is_running(pid: int, started: str) -> bool:
    """Return whether a process of this machine is the one that was started then; raises OSError where nothing tells."""
    stat = read_stat(pid)
    if stat is not None:
        return not stat.ended and _start_of(stat) == started
    try:
        os.kill(pid, 0)
    except PermissionError:
        return pid > 0  # of another user, whose processes /proc may hide from us
    except ProcessLookupError:
        pass
    return False


def started_at(pid: int | str) -> str:
    """Return what tells a process from a later one of the same id; "" if the process has ended."""
    try:
        stat = read_stat(pid)
        return "" if stat is None or stat.ended else _start_of(stat)
    except OSError:
        return ""


def _start_of(stat: Stat) -> str:
    return f"{stat.started}-{boot_id()[:8]}"
