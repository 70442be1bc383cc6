"""What a run has written: copy it, and its sizes. Files, folders and symbolic links count, sockets and pipes do not."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

_KEPT = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)


def copy_tree(source: str, target: str) -> None:
    """Copy the contents of a folder into another, which is made if it is missing; raises OSError."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=_no_results)


def _no_results(folder: str, names: list[str]) -> list[str]:
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}
    return [name for name, mode in modes.items() if not any(kept(mode) for kept in _KEPT)]


def sizes(folder: str) -> dict[str, int]:
    """Return the sizes in bytes of all files below a folder, by path; pipes and sockets are left out."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below = sizes(entry.path)
                found.update({f"{entry.name}/{name}": size for name, size in below.items()})
            elif entry.is_symlink() or entry.is_file():
                found[entry.name] = entry.stat(follow_symlinks=False).st_size
    return found


def regular_files(folder: str) -> Iterator[tuple[str, str]]:
    """Yield all files below a folder, and links to files: by path below it, and by whole path."""
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, folder), path
