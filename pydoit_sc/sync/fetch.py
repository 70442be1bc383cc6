"""Fetch archives into one new folder, all or nothing.

Several workers of a machine want the same folder. Each makes it under another name, and the first to rename it wins.
Its name is known to every user of the machine, and what is in it is executed: so it is used only where nobody else can
have made it, or can replace it afterwards.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pydoit_sc.private import foreign, replaceable
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import archive_name, digest_in_name, extract
from pydoit_sc.sync.remote import fetch


def fetch_all(folder: str, archives: Iterable[tuple[str, str]], options: Mapping[str, Any]) -> None:
    """Put each archive's files below its DEST in `folder`, unless the folder exists; raise SyncError.

    `archives` are pairs of URL and DEST, `options` are fsspec's. The folder's parent is made for this user alone.
    """
    parent = os.path.dirname(folder)
    try:
        _make_private(parent)
        if os.path.lexists(folder):
            _check(folder, foreign(os.lstat(folder)))
            return
        with tempfile.TemporaryDirectory(dir=parent) as new:
            code = os.path.join(new, "code")
            os.mkdir(code, 0o700)
            for url, dest in archives:
                archive = os.path.join(new, archive_name(digest_in_name(url)))
                fetch(url, archive, options)
                extract(archive, os.path.join(code, dest))
            _put(code, folder)
    except OSError as error:
        raise SyncError(f"{error.filename or parent}: {error.strerror}") from error


def _make_private(folder: str) -> None:
    """Make a folder for this user alone where there is none; raise SyncError where others may have made or replace it."""
    above = os.path.dirname(folder)
    os.makedirs(above, 0o700, exist_ok=True)
    _check(above, replaceable(above))
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    _check(folder, foreign(os.lstat(folder)))


def _check(folder: str, fault: str) -> None:
    if fault:
        raise SyncError(
            f"{folder}: {fault}, so no code is fetched into it; set TMPDIR to a folder of your own"
        )


def _put(new: str, folder: str) -> None:
    try:
        os.rename(new, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(new)  # another worker was first
