"""The way to a place below a store's root: whether this user may write there, and no link of another user is followed.

Where several users write to one folder, any of them could lead the others' outputs, or their `clean`, elsewhere by a link
in the place of a folder. A user's own links, and root's, are followed: a stage may lie elsewhere.
"""

from __future__ import annotations

import os
import stat

from pydoit_sc.store.base import TakenError
from pydoit_sc.store.places import belongs, parents


def check_way(root: str, path: str) -> None:
    """Raise TakenError where another user's link is in the place of a folder above a path below the root, and OSError."""
    place = root
    for name in path.split("/")[:-1]:
        place = f"{place}/{name}"
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid()):
            raise TakenError(
                f"{place}: is a symbolic link of another user, expected a folder: remove the link"
            )


def closed(root: str, path: str) -> str:
    """Return why this user can write nothing into a folder below the root, or make it, in words; "" where it can. Raises OSError."""
    try:
        check_way(root, f"{path}/")
    except TakenError as error:
        return str(error)
    there = next((folder for folder in parents(f"{root}/{path}".rstrip("/")) if os.path.lexists(folder)), "/")
    if os.access(there, os.W_OK | os.X_OK):
        return ""
    try:
        is_read_only = os.statvfs(there).f_flag & os.ST_RDONLY
    except OSError as error:  # a link that leads nowhere
        return f"`{there}` cannot be written: {error.strerror}"
    # A file system that is read-only is the matter of all places, not of this one.
    return "" if is_read_only else f"`{there}` cannot be written{belongs(there)}"
