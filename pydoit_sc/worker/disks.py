"""The disks that runs write to: which one it is, and whether it is full, when what ends says nothing of its run.

A run whose disk is full may have been cut and yet exit with 0, or have failed for no fault of its own. Nobody tells
the worker; it looks at the file systems itself, with `statvfs`. A disk counts as full a little early, and by what is
left for everybody, as `df` shows it: what is reserved for root is not counted on, since a container's root, or root on
NFS, may not use it, and since ext4 keeps some of it even from the real one.

Not seen are a disk that was full for a moment between two looks, a user's quota (EDQUOT), and one full server of a
file system with many (Lustre). Where a quota is used up, the worker's own writes of the run's last files fail, as a rule.
"""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress

from pydoit_sc.urls import local_path

#: The errors of a disk that is full, broken or gone.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE)

_LITTLE = 4 << 20  # bytes; less than this left is full
_LITTLE_OF = 64  # on a small disk: a part of it


class Disks:
    """The file systems of some folders; they are held open until `close`."""

    def __init__(self) -> None:
        self._folders: dict[int, tuple[int, str]] = {}  # by device: a descriptor, and the folder it is of

    def watch(self, folder: str) -> None:
        """Include a folder's file system from now on; raises OSError."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._folders.setdefault(os.fstat(fd).st_dev, (fd, folder))[0] != fd:
            os.close(fd)

    def full(self) -> str:
        """Return a message about the file system that is full; "" if none is. Raises OSError."""
        for fd, folder in self._folders.values():
            now = os.statvfs(fd)
            size = now.f_blocks * now.f_frsize  # 0 where the file system does not say
            left = now.f_bavail * now.f_frsize
            if size and left <= min(_LITTLE, size // _LITTLE_OF):
                return f"{folder}: the disk is full ({left >> 10:,} of {size >> 10:,} KiB left)"
            if now.f_files and not now.f_favail:  # btrfs and FAT have no inodes to count
                return f"{folder}: the disk is full (no inode left of {now.f_files:,})"
        return ""

    def close(self) -> None:
        """Close the file systems."""
        for fd, _ in self._folders.values():
            with suppress(OSError):
                os.close(fd)
        self._folders.clear()


def scratch_disk(results: str, store: str) -> str | None:
    """Return the folder for attempts where a chunk of `sc` has its results (`local_results_dir`) on a scratch disk.

    None where that disk is the store's own, cannot be written, or is only the machine's folder for temporary files,
    which `sc` names where the user has named none. `store` is the URL of the store.
    """
    there = _existing(os.path.dirname(os.path.abspath(results)))
    if there in ("/", tempfile.gettempdir()) or not os.access(there, os.W_OK):
        return None
    root = local_path(store)
    if root is not None and os.stat(_existing(root)).st_dev == os.stat(there).st_dev:
        return None
    return there


def _existing(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
