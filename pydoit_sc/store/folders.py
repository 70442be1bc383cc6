"""A worker's own folder; its mark tells who made it and when that worker last lived, so that others can remove it.

The mark names the machine, the process and the start of that process. On the same machine, that tells whether the worker
is alive. Elsewhere its heartbeat does: a live worker touches its mark every 15 s, and one that has not done so for two
minutes, by the clock of the file system, counts as dead; so does one whose mark is that far ahead of that clock. No
lock is asked: on many file systems of clusters locks hold on one machine only, or for ever.

Only a folder that has a mark and belongs to this user is removed, and no symbolic link is followed. It is renamed first.
So a worker that was taken for dead, and goes on, finds nothing of its own where it was, rather than a part of it.

Others may read the mark, and change nothing beside it. The folder of attempts they cannot even enter: what a run makes
there may be open to its group by the umask, and whoever could put a link there would have the run, or us, follow it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from pydoit_sc.batch import OURS
from pydoit_sc.files import not_for_others
from pydoit_sc.proc import is_running, machine, started_at
from pydoit_sc.store.copying import discard
from pydoit_sc.store.stamps import read
from pydoit_sc.threads import aside

if TYPE_CHECKING:
    from pydoit_sc.store.documents import Mark

BEAT_EVERY = 15.0  # seconds
DEAD_AFTER = 120.0  # seconds without a heartbeat: a file system's server may be away for a while

_MARK = "worker.json"
_ATTEMPTS = "closed"
_MODE, _CLOSED = 0o755, 0o700
_SCRATCH = "pydoit-sc-worker-"  # how the name of a worker's folder begins on a disk that others use, too
_BEING_MADE = 3600  # seconds in which the worker may still be making a folder that has no mark
_AWAY = "~"  # how the name ends of a folder that is being removed
_MOST = 1 << 16  # bytes of a mark
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_REAL_FOLDER = _FOLDER | os.O_NOFOLLOW
_REAL_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def own_folder(parent: str, name: str, mode: int = _MODE) -> Iterator[str]:
    """Make a folder that shows others that this worker is alive, and is removed at the end; raises OSError."""
    own, end, beats = _make(parent, name, mode), threading.Event(), None
    try:
        beats = aside(partial(_beat, own, end), "heartbeat")
        yield own
    finally:
        end.set()
        if beats:
            beats.join()
        with suppress(OSError), _opened(parent) as above, _opened(name, above, _REAL_FOLDER) as folder:
            _remove(above, name, folder)


@contextmanager
def attempts_folder(parent: str, worker: str) -> Iterator[str]:
    """Make a worker's folder with one for its attempts, which others cannot enter; remove those of dead workers."""
    with own_folder(parent, worker) as own:
        remove_dead(own)
        attempts = os.path.join(own, _ATTEMPTS)
        os.mkdir(attempts, _CLOSED)
        yield attempts


def attempts_of(worker: str) -> str:
    """Return where a worker's attempts lie, below the root of its store."""
    return f"{OURS}/attempts/{worker}/{_ATTEMPTS}"


@contextmanager
def scratch_folder(parent: str, worker: str) -> Iterator[str]:
    """Make a worker's folder on a disk that others use, too, and remove those of dead workers; raises OSError."""
    os.makedirs(parent, exist_ok=True)
    with own_folder(parent, f"{_SCRATCH}{worker}", _CLOSED) as own:
        remove_dead(own, _SCRATCH)
        yield own


def _make(parent: str, name: str, mode: int) -> str:
    """Make a folder under another name, and rename it once it has its mark, without which nobody sees it."""
    own, new = os.path.join(parent, name), os.path.join(parent, f".{name}")
    os.mkdir(new, mode)
    try:
        pid = os.getpid()
        # As `Mark` has it, a model that takes long to import: each worker writes one, and few read one.
        mark = {"host": os.uname().nodename, "here": machine(), "pid": pid, "started": started_at(pid)}
        if not mark["started"]:
            raise OSError(errno.EIO, "cannot be read", f"/proc/{pid}/stat")
        with open(os.path.join(new, _MARK), "xb", opener=not_for_others) as file:
            file.write(json.dumps(mark).encode())
        os.rename(new, own)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return own


def _beat(own: str, end: threading.Event) -> None:
    while not end.wait(BEAT_EVERY):
        with suppress(OSError):  # what is about to be written there meets the same error, and reports it
            touch(own)


def touch(own: str) -> float:
    """Show that the worker of this folder is alive; return the time by the file system's clock. Raises OSError."""
    os.utime(os.path.join(own, _MARK))
    return os.stat(os.path.join(own, _MARK)).st_mtime


def is_there(own: str) -> bool:
    """Return whether a worker's folder is still its own: no other worker has taken this one for dead."""
    return os.path.exists(os.path.join(own, _MARK))


def is_alive(folder: str) -> bool:
    """Return whether the worker that made this folder seems to be alive, by this machine's clock, which may be behind."""
    found = _look(folder)
    return found is not None and not _is_dead(*found, max(time.time(), found[1]))


def who_lives(folder: str, now: float) -> str:
    """Return which worker made this folder, and where, if it is alive and not frozen; else "".

    `now` is the time by the file system's clock.
    """
    found = _look(folder)
    if found is None or _is_dead(*found, now) or _is_silent(found[1], now):
        return ""
    return f"worker {os.path.basename(folder)} on {found[0].host}"


def remove_dead(own: str, prefix: str = "") -> None:
    """Remove the folders of this user's dead workers beside a worker's own; raises OSError.

    With a prefix, others keep things there, too, and only folders whose names begin with it are looked at.
    """
    parent, name = os.path.split(own)
    now, uid = touch(own), os.stat(own).st_uid  # on NFS, root may be another user
    with _opened(parent) as above:
        for other in os.listdir(above):
            if other != name and other.lstrip(".").startswith(prefix):
                with suppress(OSError):  # it has just ended, or is no worker's
                    _remove_if_dead(above, other, uid, now)


def _remove_if_dead(above: int, name: str, uid: int, now: float) -> None:
    with _opened(name, above, _REAL_FOLDER) as folder:
        stat = os.fstat(folder)
        if stat.st_uid != uid:
            return
        found = _read_mark(folder)
        if found is not None:
            if _is_dead(*found, now):
                _remove(above, name, folder)
        elif name.endswith(_AWAY) or (name.startswith(".") and now - stat.st_mtime > _BEING_MADE):
            os.rmdir(name, dir_fd=above)  # its worker, or who removed it, was killed; not if it is not empty


def _remove(above: int, name: str, folder: int) -> None:
    """Remove a folder that is open, its mark last: if this process is killed meanwhile, the next one finds the mark."""
    away = name if name.endswith(_AWAY) else f".{name.lstrip('.')}{_AWAY}"
    os.rename(name, away, src_dir_fd=above, dst_dir_fd=above)
    for entry in os.listdir(folder):
        if entry != _MARK:
            discard(f"/proc/self/fd/{folder}/{entry}")
    if os.listdir(folder) == [_MARK]:
        os.unlink(_MARK, dir_fd=folder)
    os.rmdir(away, dir_fd=above)


def _look(folder: str) -> tuple[Mark, float] | None:
    try:
        with _opened(folder, None, _REAL_FOLDER) as opened:
            return _read_mark(opened)
    except OSError:
        return None


def _read_mark(folder: int) -> tuple[Mark, float] | None:
    """Return a folder's mark, an empty one where it is torn, and when it was last touched; None where there is none."""
    from pydoit_sc.store.documents import Mark  # noqa: PLC0415 - models that only workers need, slow to import

    try:
        with _opened(_MARK, folder, _REAL_FILE) as mark:
            return read(Mark, os.read(mark, _MOST)) or Mark(), os.fstat(mark).st_mtime
    except FileNotFoundError:
        return None


def _is_dead(mark: Mark, touched: float, now: float) -> bool:
    if mark.here == machine():
        return not is_running(mark.pid, mark.started)
    return _is_silent(touched, now)


def _is_silent(touched: float, now: float) -> bool:
    """Return whether a mark shows no sign of life: also one of a time to come, which a clock that has jumped has left."""
    return abs(now - touched) > DEAD_AFTER


@contextmanager
def _opened(path: str, above: int | None = None, flags: int = _FOLDER) -> Iterator[int]:
    fd = os.open(path, flags, dir_fd=above)
    try:
        yield fd
    finally:
        os.close(fd)
