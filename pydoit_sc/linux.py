"""Four system calls that Python does not have."""

from __future__ import annotations

import errno
import os
import platform
import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_RESET_ON_FORK = 1


@cache
def _libc() -> ctypes.CDLL:
    import ctypes  # noqa: PLC0415 - of the commands, only those that execute runs need it

    return ctypes.CDLL(None, use_errno=True)


def _errno() -> int:
    import ctypes  # noqa: PLC0415 - see above

    return ctypes.get_errno()


def syncfs(fd: int) -> None:
    """Wait until the file system that holds `fd` has everything on its disk; raises OSError."""
    if _libc().syncfs(fd):
        error = _errno()
        raise OSError(error, os.strerror(error))


def exchange(a: str, b: str) -> bool:
    """Swap two paths in one step; False where the file system cannot (NFS); raises OSError otherwise."""
    try:
        failed = _libc().renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE)
    except AttributeError:  # a C library older than glibc 2.28
        return False
    if not failed:
        return True
    error = _errno()
    if error in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(error, os.strerror(error), a, None, b)


def adopt_orphans(yes: bool) -> None:
    """Make this process the new parent of its descendants' orphans, or stop being it."""
    _libc().prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


def end_with_parent(signal: int) -> None:
    """Let this process get a signal when the thread that started it ends; programs that it becomes by exec, too."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)


def wake_quickly() -> None:
    """Ask for short turns on the processor, which this process then gets sooner; its children do not inherit it.

    A worker that waits its turn behind the runs it has started leaves another processor idle meanwhile. Kernels
    before 6.12 do not know the request and ignore it.
    """
    call = _SCHED_SETATTR.get(platform.machine())
    if call is not None and os.sched_getscheduler(0) == os.SCHED_OTHER:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        slice_ns = 100_000
        attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, _RESET_ON_FORK, nice, 0, slice_ns, 0, 0)
        _libc().syscall(call, 0, attributes, 0)
