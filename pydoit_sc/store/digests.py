"""The MD5s of an output's files, made while these are still in memory."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from hashlib import md5
from io import FileIO
from operator import itemgetter
from typing import BinaryIO

from pydoit_sc.files import write_whole
from pydoit_sc.store.layout import RUN_JSON

MOST_DIGESTED = 1 << 30  # bytes of an output; what exceeds them, the largest files, is listed by size alone

_PIECE = 1 << 20
_NOTHING = md5(usedforsecurity=False).hexdigest()
_UNREAD = (errno.ELOOP, errno.EACCES)  # a link; a file that the run has closed


def digest(file: BinaryIO | FileIO, at_once: int = _PIECE) -> tuple[int, str]:
    """Return the size and the MD5 of the rest of a stream, of which so many bytes are read at once."""
    md5_, size = md5(usedforsecurity=False), 0
    while piece := file.read(at_once):
        md5_.update(piece)
        size += len(piece)
    return size, md5_.hexdigest()


def digests(folder: str, sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the MD5s of files below a folder, whose sizes are known: not of links, nor beyond MOST_DIGESTED; raises OSError."""
    left = MOST_DIGESTED
    for name, size in sorted(sizes.items(), key=itemgetter(1)):
        if size > left:
            return
        if md5_ := _md5(f"{folder}/{name}", size) if size else _NOTHING:
            left -= size
            yield name, md5_


def _md5(path: str, size: int) -> str:
    """Return the MD5 of a file of this size; "" where there is none, or it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _UNREAD:
            return ""
        raise
    with FileIO(fd) as file:
        found, md5_ = digest(file, min(size + 1, _PIECE))
    return md5_ if found == size else ""


def add_digests(folder: str) -> None:
    """Add to the `run.json` in a folder the digests of the files beside it; raises OSError."""
    path = f"{folder}/{RUN_JSON}"
    with open(path, "rb") as file:
        data = json.load(file)
    for name, md5_ in digests(folder, {name: entry["size"] for name, entry in data["files"].items()}):
        data["files"][name]["md5"] = md5_
    write_whole(path, json.dumps(data).encode())
