"""A worker's own folder; its lock shows whether that worker is alive, so that others can remove it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pydoit_sc.files import FOLDER_MODE
from pydoit_sc.store.copying import discard

_LOCK = "lock"
_TO_LOCK = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC  # somebody may have put a pipe there
_SCRATCH = "pydoit-sc-worker-"  # how the name of a worker's folder begins on a disk that others use, too
_BEING_MADE = 3600  # seconds in which the worker may still be making a folder that has no final name


@contextmanager
def locked_folder(parent: str, name: str, mode: int = FOLDER_MODE) -> Iterator[str]:
    """Make a folder that is removed at the end, and locked until this process ends; raises OSError.

    It is made under another name and renamed once the lock is held, so no other worker sees it without a lock.
    """
    own = os.path.join(parent, name)
    lock = _make_locked(os.path.join(parent, f".{name}"), own, mode)
    try:
        yield own
    finally:
        _remove(own)
        os.close(lock)


@contextmanager
def scratch_folder(parent: str, worker: str) -> Iterator[str]:
    """Make a worker's folder on a disk that others use, too, after removing those of dead workers; raises OSError."""
    os.makedirs(parent, exist_ok=True)
    remove_dead(parent, _SCRATCH)
    with locked_folder(parent, f"{_SCRATCH}{worker}", 0o700) as own:
        yield own


def _make_locked(new: str, own: str, mode: int) -> int:
    os.mkdir(new, mode)
    lock = -1
    try:
        lock = os.open(os.path.join(new, _LOCK), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with suppress(OSError):  # a file system without locks: dead workers' folders stay
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(new, own)
    except OSError:
        if lock >= 0:
            os.close(lock)
        shutil.rmtree(new, ignore_errors=True)
        raise
    return lock


def is_alive(folder: str) -> bool:
    """Return whether the worker that made this folder still holds its lock."""
    try:
        lock = os.open(os.path.join(folder, _LOCK), _TO_LOCK)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(lock)


def remove_dead(parent: str, prefix: str = "") -> None:
    """Remove the folders of dead workers, whose locks are free; raises OSError.

    Without a prefix, the parent holds nothing else, and a folder that has no lock is removed, too. With a prefix, others
    keep things in the parent, and only folders that have our lock, or are empty, are removed.
    """
    for name in os.listdir(parent):
        if name.removeprefix(".").startswith(prefix):
            _remove_if_dead(os.path.join(parent, name), only_locked=bool(prefix))


def _remove_if_dead(folder: str, *, only_locked: bool) -> None:
    try:
        if os.path.basename(folder).startswith(".") and time.time() - os.stat(folder).st_mtime < _BEING_MADE:
            return
        lock = os.open(os.path.join(folder, _LOCK), _TO_LOCK)
    except FileNotFoundError:  # the worker that was removing it was killed
        if only_locked:
            with suppress(OSError):  # not empty, so not ours
                os.rmdir(folder)
        else:
            discard(folder)
        return
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    except OSError:
        return
    finally:
        os.close(lock)


def _remove(folder: str) -> None:
    """Remove a folder, its lock last: if this process is killed meanwhile, the next one still finds the lock."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name != _LOCK:
                discard(os.path.join(folder, name))
    shutil.rmtree(folder, ignore_errors=True)
