"""Copy what a run has written: files, folders and symbolic links, but no sockets and pipes."""

from __future__ import annotations

import os
import shutil
import stat

_KEPT = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)


def copy_tree(source: str, target: str) -> None:
    """Copy the contents of a folder into another, which is made if it is missing; raises OSError."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=_no_results)


def _no_results(folder: str, names: list[str]) -> list[str]:
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}
    return [name for name, mode in modes.items() if not any(kept(mode) for kept in _KEPT)]
