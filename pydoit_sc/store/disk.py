"""The disk under a store on a file system: wait until all data is on it, and notice what is lost."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress

from pydoit_sc.linux import syncfs


class Disk:
    """The disk under a store, as one worker sees it, from before its first attempt on.

    The kernel reports data that it could not write only once to each open file, and then drops the data. So the store
    is opened before anything is written, since a file that is opened later may not get the report. After a failure
    nothing counts as being on the disk, although the next sync would succeed.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._fd = -1
        self._lost: OSError | None = None

    def watch(self) -> None:
        """Notice from now on what is lost; raises OSError."""
        if self._fd < 0:
            self._fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            weakref.finalize(self, _close, self._fd)

    def sync(self) -> None:
        """Return when everything is on the disk; raises OSError."""
        if self._lost:
            raise self._lost
        self.watch()
        try:
            syncfs(self._fd)
        except OSError as error:
            self._lost = error
            raise


def _close(fd: int) -> None:
    with suppress(OSError):  # nothing was written through it, and there is no caller left to tell
        os.close(fd)
