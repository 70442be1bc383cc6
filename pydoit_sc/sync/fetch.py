"""Fetch archives into one new folder, all or nothing: `python3 -m pydoit_sc.sync.fetch FOLDER OPTIONS [URL DEST]…`.

Several workers of a machine want the same folder. Each makes it under another name, and the first to rename it wins.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import extract
from pydoit_sc.sync.remote import fetch


def fetch_all(folder: str, archives: Iterable[tuple[str, str]], options: Mapping[str, Any]) -> None:
    """Have `folder` hold each archive's files below its DEST, unless it is there; raises SyncError.

    `options` are fsspec's. The folder's parent is made for this user alone.
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
                archive = os.path.join(new, "data.tar.gz")
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


def main(arguments: Sequence[str]) -> int:
    if len(arguments) < 2 or len(arguments) % 2:
        print("usage: python3 -m pydoit_sc.sync.fetch FOLDER OPTIONS [URL DEST]...", file=sys.stderr)
        return 3
    folder, options, *pairs = arguments
    try:
        fetch_all(folder, zip(pairs[::2], pairs[1::2], strict=True), json.loads(options))
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
