"""Digests of files, kept from one start of the program to the next: a large input is read again only when it has changed.

They are in one small file beside the batchfile, which may be deleted at any time. A file counts as unchanged while its
size, times, inode and device are the same. One that was modified within two seconds of its reading is not kept: it might
be modified again without a change of its time.
"""

from __future__ import annotations

import atexit
import json
import os
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydoit_sc.files import open_regular, write_whole

#: The file, beside the batchfile.
KEPT_IN = ".pydoit_sc.digests.json"

_SETTLED = 2_000_000_000  # nanoseconds
_WORTH = 8 << 20  # bytes: what is read more quickly is not kept, so that most projects have no such file
_A_FILE = 16 << 10  # bytes that are read in the time that it takes to open a file
_MOST = 500_000  # files


class KeptDigests:
    """The digests of the files of one project, which are named by their paths from its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, Any] | None = None
        self._read = 0  # bytes whose digests are not in the file yet

    def of(self, path: str) -> str:
        """Return the digest of a file's content; raises OSError."""
        full = os.path.join(self._folder, path)
        if self._kept is None:
            self._kept = _load(self._folder / KEPT_IN)
        kept = self._kept.get(path)
        if isinstance(kept, list) and kept[:-1] == _stamp(os.stat(full)) and isinstance(kept[-1], str):
            return kept[-1]
        with open(full, "rb") as file:
            before, now = os.fstat(file.fileno()), time.time_ns()
            hasher = blake2b(digest_size=16)
            while block := file.read(1 << 20):
                hasher.update(block)
            stamp = _stamp(os.fstat(file.fileno()))
        if stamp == _stamp(before) and now - before.st_mtime_ns > _SETTLED:
            self._kept.pop(path, None)  # else it would stay among the oldest
            self._kept[path] = [*stamp, hasher.hexdigest()]
            self._note(before.st_size + _A_FILE)
        return hasher.hexdigest()

    def _note(self, cost: int) -> None:
        if self._read < _WORTH <= self._read + cost:
            atexit.register(self.save)
        self._read += cost

    def save(self) -> None:
        """Write the file, if it is worth it; a folder that cannot be written to has none."""
        if self._read >= _WORTH and self._kept is not None:
            latest = dict(list(self._kept.items())[-_MOST:])
            with suppress(OSError):
                write_whole(str(self._folder / KEPT_IN), json.dumps(latest).encode())
            self._read = 0


def _stamp(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def _load(path: Path) -> dict[str, Any]:
    try:
        with open_regular(str(path)) as file:
            kept = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}
