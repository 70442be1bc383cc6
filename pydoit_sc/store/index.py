"""The index of an object store: the contents of many small `run.json`, so that a scan need not read each.

It is a cache and never the truth: an entry counts only if its MD5 is the ETag that the listing shows for the object
itself now. So an index that is stale, torn, missing or wrong costs requests and changes no answer; and one that says
more than any of ours is not read to its end.

A worker writes an object for every thousand outcomes, and one for the rest. Where workers have few runs each, there
would be as many objects as workers: so one worker in some merges the small ones. Since nothing depends on an index, two
may do so at once.
"""

from __future__ import annotations

import gzip
import io
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import md5
from itertools import islice

from pydoit_sc.batch import OURS
from pydoit_sc.store.blobs import Blob, Blobs, get_all
from pydoit_sc.store.layout import CODES

Insist = Callable[[Callable[[], object]], object]

FOLDER = f"{OURS}/index"
EVERY = 1000  # outcomes in one object
_FEW = 100  # a worker that leaves so many looks whether objects are to be merged
_SMALL = 16 << 10  # bytes of an object that is merged: that of a hundred outcomes is about half as large
_SMALL_ENTRIES = 500  # so many are taken from it
_MANY, _MOST = 32, 256  # so many of them are merged at once
_PACKED = 8 << 20  # bytes of an index as it is stored; a larger one is none of ours
_AT_ONCE = 32  # of them in memory
_ENTRY = 64 << 10  # bytes of a text in it; larger ones are left out
_ENTRIES = 2048  # so many are read of it

_CODES = {md5(str(code).encode(), usedforsecurity=False).hexdigest(): str(code).encode() for code in CODES}


def status_code_of(digest: str) -> bytes | None:
    """Return the content of a `status_code` whose MD5 is known, else None."""
    return _CODES.get(digest)


def pack(contents: Iterable[bytes]) -> bytes:
    """Return an index of these texts, of one line each; long ones are left out."""
    return gzip.compress(b"\n".join(text for text in contents if len(text) < _ENTRY), compresslevel=1)


def read_index(blobs: Blobs, listed: Sequence[Blob], wanted: Container[str]) -> dict[str, bytes]:
    """Return those texts of a store's indexes whose MD5 is wanted, by their MD5."""
    paths = [blob.path for blob in listed if blob.size <= _PACKED]
    texts: dict[str, bytes] = {}
    for first in range(0, len(paths), _AT_ONCE):
        for data in get_all(blobs, paths[first : first + _AT_ONCE]).values():
            texts.update(unpack(data, wanted))
    return texts


class IndexWriter:
    """Adds the outcomes that a worker publishes to the index.

    Each `insist` makes a request again and again as long as the worker's lease lasts. A failure is ignored: what could not
    be written is a part of the next object, if there is one.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._left: deque[bytes] = deque()  # contents of `run.json` that no object has yet; threads add to it

    def add(self, run_json: bytes, insist: Insist) -> None:
        """Add an outcome."""
        self._left.append(run_json)
        if len(self._left) >= EVERY:
            self._write(insist)

    def complete(self, insist: Insist) -> None:
        """Write what is left, and merge small objects if it is this worker's turn."""
        count = len(self._left)
        path = self._write(insist) if count else ""
        if path and count < _FEW:
            with suppress(Exception):
                self._merge(path, insist)

    def _write(self, insist: Insist) -> str:
        """Write an object and return its path; "" where that has failed."""
        contents: list[bytes] = []
        with suppress(IndexError):  # empty; other threads take from it, too
            while True:
                contents.append(self._left.popleft())
        try:
            return self._put(contents, insist)
        except Exception:
            self._left.extend(contents)
            return ""

    def _put(self, contents: Iterable[bytes], insist: Insist) -> str:
        path = f"{FOLDER}/{uuid.uuid4().hex}"
        insist(partial(self._blobs.put, path, pack(contents)))
        return path

    def _merge(self, own: str, insist: Insist) -> None:
        """Put the contents of many small objects into few large ones, if the worker's own is among the first of them.

        Names are random, so one worker in `_MANY` does it, also of those that end together. What is none of ours is removed,
        too.
        """
        small = sorted(blob.path for blob in self._blobs.list(FOLDER) if blob.size <= _SMALL)
        if own not in small[: len(small) // _MANY]:
            return
        found, contents = get_all(self._blobs, small[:_MOST]), list[bytes]()
        for data in found.values():
            contents += _lines(data, _SMALL_ENTRIES)
            if len(contents) >= EVERY:
                self._put(contents, insist)
                contents = []
        if contents:
            self._put(contents, insist)
        insist(partial(self._blobs.delete, found))


def unpack(data: bytes, wanted: Container[str]) -> dict[str, bytes]:
    """Return those texts of an index whose MD5 is wanted, by their MD5; as far as it can be read."""
    texts: dict[str, bytes] = {}
    for text in _lines(data, _ENTRIES):
        digest = md5(text, usedforsecurity=False).hexdigest()
        if digest in wanted:
            texts[digest] = text
    return texts


def _lines(data: bytes, most: int) -> Iterator[bytes]:
    """Yield the lines of an index, so many at most; as far as it can be read."""
    with suppress(OSError, EOFError, zlib.error), gzip.open(io.BytesIO(data)) as lines:
        for line in islice(iter(partial(lines.readline, _ENTRY), b""), most):
            yield line.removesuffix(b"\n")
