"""Which worker executes which run, on a file system: a symbolic link with the worker's name, which only one can make.

A hold ends when it is released, and with its worker: a dead one's, and one of a worker that is frozen for long, is taken
over. So holds keep two workers from executing one run, but no outcome depends on them; that of a run is what is renamed
to its place. Where a file system has no symbolic links there are no holds.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from hashlib import blake2b

from pydoit_sc.store.base import HeldError
from pydoit_sc.store.folders import touch, who_lives

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_TRIES = 10  # to take what changes hands meanwhile


class Holds:
    """The holds in a folder, of workers whose own folders are in another one."""

    def __init__(self, folder: str, workers: str) -> None:
        self._folder, self._workers = folder, workers

    def take(self, worker: str, key: str) -> None:
        """Hold a run for a worker; raises HeldError while another one that is alive has it, and OSError."""
        path, holder = self._path(key), ""
        for _ in range(_TRIES):
            try:
                os.symlink(worker, path)
                return
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno in _NO_LINKS:
                    return
                raise
            holder = _name_in(path)
            if alive := self._who_lives(worker, holder):
                raise HeldError(f"{alive} executes it")
            try:
                _take_away(path, holder, f"{path}.{worker}")
            except OSError:
                return  # of another user, or no link: nobody can hold it
        raise HeldError(f"it has changed hands {_TRIES} times")

    def release(self, key: str) -> None:
        """Hold a run no longer."""
        with suppress(OSError):
            os.unlink(self._path(key))

    def _who_lives(self, worker: str, holder: str) -> str:
        if holder in ("", "..", worker) or "/" in holder:
            return ""
        return who_lives(f"{self._workers}/{holder}", touch(f"{self._workers}/{worker}"))

    def _path(self, key: str) -> str:
        return f"{self._folder}/{blake2b(key.encode(errors='surrogateescape'), digest_size=16).hexdigest()}"


def _name_in(path: str) -> str:
    """Return the holder's name; "" where there is none any more."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _take_away(path: str, holder: str, aside: str) -> None:
    """Remove a dead worker's hold; one that another worker has taken over just now is put back. Raises OSError."""
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    if _name_in(aside) == holder:
        os.unlink(aside)
    else:
        os.rename(aside, path)
