"""Publish over what is in a run's place, on a file system: the two are swapped, and the old one goes to the history.

So there is always an outcome. Where the file system cannot swap (NFS), the old folder is moved away first. One worker
replaces at a time; its lock ends with its process. Where the lock is not available (no locks on this file system, a
frozen worker holds it), the folder that was moved away is read once more: if another worker completed the run in
between, it is moved back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pydoit_sc.batch import OURS
from pydoit_sc.linux import exchange
from pydoit_sc.retries import pauses
from pydoit_sc.store import history
from pydoit_sc.store.base import Finished, Outcome, StoreError
from pydoit_sc.store.layout import stays
from pydoit_sc.store.places import check_folder
from pydoit_sc.store.reading import read_record

_WAITED = 5.0  # seconds to wait for another worker that is replacing a run
_IN_VAIN = 60.0  # seconds in which nobody is waited for after that
_PAUSES = 0.001, 0.02  # seconds from one try to lock to the next: the first, and the longest


def stays_in(folder: str, attempt: Finished) -> bool:
    """Return whether the outcome in a folder stays, and the new attempt is dropped."""
    return stays(read_record(folder), attempt.supersedes, attempt.fingerprint)


class Replacer:
    """Replaces outcomes of one store."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._waits_from = 0.0  # the monotonic clock

    def replace(self, attempt: Finished, folder: str, target: str) -> Outcome | None:
        """Publish an attempt over an existing folder; return None if that has changed meanwhile. Raises OSError, StoreError."""
        with self._lock():
            return _replace(self._root, attempt, folder, target)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the lock, if it is free in time, and if nobody has put something else in its place.

        The worker does nothing else while it waits. So after a wait that was in vain it goes on without the lock for a time.
        """
        path = f"{self._root}/{OURS}/replacing"
        try:
            file = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o664
            )
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ELOOP, errno.EISDIR):  # a pipe, a link, a folder
                raise
            yield
            return
        try:
            seconds = _WAITED if time.monotonic() >= self._waits_from else 0.0
            if not _try_lock(file, seconds) and seconds:
                self._waits_from = time.monotonic() + _IN_VAIN
            yield
        finally:
            os.close(file)


def _replace(root: str, attempt: Finished, folder: str, target: str) -> Outcome | None:
    if stays_in(target, attempt):
        return None
    try:
        check_folder(target, target)
        if not exchange(folder, target):
            place = history.move_there(root, attempt.key, target)
            if stays_in(place, attempt):  # published meanwhile
                with suppress(OSError):  # replaced once more
                    os.rename(place, target)
            return None
    except FileNotFoundError:
        return None
    if stays_in(folder, attempt):
        exchange(folder, target)
        shutil.rmtree(folder, ignore_errors=True)
        return Outcome.LOST
    try:
        history.move_there(root, attempt.key, folder)
    except (OSError, StoreError):
        with suppress(OSError):  # somebody has removed the new one
            exchange(folder, target)
        raise
    return Outcome.PUBLISHED


def _try_lock(file: int, seconds: float) -> bool:
    """Lock a file, where its file system has locks; return False where another process has held the lock for so long."""
    until, waits = time.monotonic() + seconds, pauses(sys.maxsize, *_PAUSES)
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
        except OSError:
            return True
        time.sleep(next(waits))
