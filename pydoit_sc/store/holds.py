"""Which worker executes which run, on a file system: a symbolic link with the worker's name, which only one can make.

A hold ends when it is released, and with its worker: a dead one's, and one of a worker that is frozen for long, is taken
over. So holds keep two workers from executing one run, but no outcome depends on them; that of a run is what is renamed
to its place. Where a file system has no symbolic links there are no holds.

A worker that ends releases what it holds. So a hold that is left is of a run that was executing when its worker was
killed. Whoever takes it over notes in its own hold how many workers in a row have died so: `abc+2`.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress

from pydoit_sc.store.base import HeldError, StoreError
from pydoit_sc.store.folders import touch, who_lives
from pydoit_sc.store.layout import key_digest

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_TRIES = 10  # to take what changes hands meanwhile
_COUNT = re.compile(r"[0-9]{1,3}")


class Holds:
    """The holds in a folder, of workers whose own folders are in another one."""

    def __init__(self, folder: str, workers: str) -> None:
        self._folder, self._workers = folder, workers
        self._held: dict[str, tuple[str, str]] = {}  # path and text of the holds of this process, by key

    def take(self, worker: str, key: str) -> int:
        """Hold a run for a worker, and return how many workers in a row have died while they executed it.

        Raises HeldError while another worker that is alive has it, StoreError where the folder has been removed, and OSError.
        """
        path, deaths = self._path(key), 0
        for _ in range(_TRIES):
            text = f"{worker}+{deaths}" if deaths else worker
            try:
                os.symlink(text, path)
                self._held[key] = path, text
                return deaths
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno in _NO_LINKS:
                    return 0
                if error.errno == errno.ENOENT:
                    raise StoreError(f"{self._folder}: removed while runs execute") from error
                raise
            there = _text_of(path)
            holder, _, before = there.partition("+")
            if alive := self._who_lives(worker, holder):
                raise HeldError(f"{alive} executes it")
            try:
                if _take_away(path, there, f"{path}.{worker}"):  # else nobody is known to have died
                    deaths = 1 + int(before) if _COUNT.fullmatch(before) else 1
            except OSError:
                return 0  # of another user, or no link: nobody can hold it
        raise HeldError(f"it has changed hands {_TRIES} times")

    def release(self, key: str) -> None:
        """Hold a run no longer. What another worker has taken over, since this one was frozen for long, is left to it."""
        if held := self._held.pop(key, None):
            path, text = held
            if _text_of(path) == text:
                with suppress(OSError):
                    os.unlink(path)

    def release_all(self) -> None:
        """Hold nothing any longer: the worker ends, and has killed what was executing."""
        for key in [*self._held]:
            self.release(key)

    def _who_lives(self, worker: str, holder: str) -> str:
        if holder in ("", "..", worker) or "/" in holder:
            return ""
        return who_lives(f"{self._workers}/{holder}", touch(f"{self._workers}/{worker}"))

    def _path(self, key: str) -> str:
        return f"{self._folder}/{key_digest(key, 16)}"


def _text_of(path: str) -> str:
    """Return what a hold says; "" where there is none any more."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _take_away(path: str, there: str, aside: str) -> bool:
    """Remove a dead worker's hold, and return whether it is one of this user; another user may have planted it.

    One that another worker has taken over just now is put back. Raises OSError.
    """
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    if _text_of(aside) != there:
        os.rename(aside, path)
        return False
    is_mine = os.lstat(aside).st_uid == os.geteuid()
    os.unlink(aside)
    return is_mine
