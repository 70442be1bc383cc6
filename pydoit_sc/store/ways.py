"""The way to a place below a store's root: no link that another user has put there is followed.

Where several users write to one folder, any of them could lead the others' outputs, or their `clean`, elsewhere by a link
in the place of a folder. A user's own links, and root's, are followed: a stage may lie on another disk.
"""

from __future__ import annotations

import os
import stat

from pydoit_sc.store.base import StoreError


def check_way(root: str, path: str) -> None:
    """Raise StoreError where another user's link is in the place of a folder above a path below the root, and OSError."""
    place = root
    for name in path.split("/")[:-1]:
        place = f"{place}/{name}"
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid()):
            raise StoreError(
                f"{place}: is a symbolic link of another user, expected a folder: remove the link"
            )
