"""Fetch archives into one new folder, all or nothing.

Several workers of a machine want the same folder. Each makes it under another name, and the first to rename it wins.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import archive_name, digest_in_name, extract
from pydoit_sc.sync.remote import fetch


def fetch_all(folder: str, archives: Iterable[tuple[str, str]], options: Mapping[str, Any]) -> None:
    """Put each archive's files below its DEST in `folder`, unless the folder exists; raise SyncError.

    `archives` are pairs of URL and DEST, `options` are fsspec's. The folder's parent is made for this user alone.
    """
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    try:
        os.makedirs(parent, mode=0o700, exist_ok=True)
        if os.stat(parent).st_uid != os.getuid():
            raise SyncError(f"{parent}: belongs to another user, so nothing is fetched into it")
        with tempfile.TemporaryDirectory(dir=parent) as new:
            code = os.path.join(new, "code")
            os.mkdir(code)
            for url, dest in archives:
                archive = os.path.join(new, archive_name(digest_in_name(url)))
                fetch(url, archive, options)
                extract(archive, os.path.join(code, dest))
            _put(code, folder)
    except OSError as error:
        raise SyncError(f"{error.filename or parent}: {error.strerror}") from error


def _put(new: str, folder: str) -> None:
    try:
        os.rename(new, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(new)  # another worker was first
