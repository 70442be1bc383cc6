"""What no other user of this machine can have made or changed: a folder or file in a place that many may write to."""

from __future__ import annotations

import os
import stat

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def own_id(folder: str) -> int:
    """Return the user's id as new files in a folder get it: on NFS, root's is another one. Raises OSError."""
    return _new_file(folder).st_uid


def _new_file(folder: str) -> os.stat_result:
    """Return what a file system says of a new file that this user alone may write. Raises OSError."""
    import tempfile  # noqa: PLC0415 (only for the notes of others)

    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno())


def is_ours(found: os.stat_result, folder: str) -> bool:
    """Return whether this user alone can have written a file in a folder, by its `lstat`, as far as its file system tells.

    One that keeps no modes, as disks of Windows, tells that everybody may write to every file.
    """
    if not foreign(found):
        return True
    try:
        new = _new_file(folder)
    except OSError:
        return False
    return not foreign(found, new.st_uid) or (new.st_uid == found.st_uid and bool(new.st_mode & _OTHERS))


def foreign(found: os.stat_result, own: int | None = None) -> str:
    """Return why others may have made or changed a folder or file, by its `lstat`; "" if only this user can have.

    `own` is the user's id there, if it is another one than elsewhere.
    """
    if stat.S_ISLNK(found.st_mode):
        return "is a symlink"
    if found.st_uid not in (os.geteuid(), own):
        return f"belongs to another user (uid {found.st_uid})"
    return "can be written by others" if found.st_mode & _OTHERS else ""


def replaceable(folder: str) -> str:
    """Return why others may replace what lies in a folder; "" if they may not, as in /tmp. Raises OSError."""
    found = os.stat(folder)
    # Root has another id in a container without a mapping of ids: the one that owns /proc.
    if found.st_uid not in (os.geteuid(), 0, os.stat("/proc").st_uid):
        return f"belongs to another user (uid {found.st_uid})"
    shared = found.st_mode & _OTHERS and not found.st_mode & stat.S_ISVTX
    return "can be written by others and has no sticky bit" if shared else ""
