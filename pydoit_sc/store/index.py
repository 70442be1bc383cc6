"""The index of an object store: the contents of many small `run.json`, so that a scan need not read each.

It is a cache and never the truth: an entry counts only if its MD5 is the ETag that the listing shows for the object
itself now. So an index that is stale, torn, missing or wrong costs requests and changes no answer; and one that says
more than any of ours is not read to its end.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import md5
from itertools import islice

from pydoit_sc.store.blobs import Blob, Blobs, get_all

_PACKED = 8 << 20  # bytes of an index as it is stored; a larger one is none of ours
_AT_ONCE = 32  # of them in memory
_ENTRY = 64 << 10  # bytes of a text in it; larger ones are left out
_ENTRIES = 2048  # so many are read of it

_CODES = {
    md5(str(code).encode(), usedforsecurity=False).hexdigest(): str(code).encode() for code in range(256)
}


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


def unpack(data: bytes, wanted: Container[str]) -> dict[str, bytes]:
    """Return those texts of an index whose MD5 is wanted, by their MD5; as far as it can be read."""
    texts: dict[str, bytes] = {}
    with suppress(OSError, EOFError, zlib.error), gzip.open(io.BytesIO(data)) as lines:
        for line in islice(iter(partial(lines.readline, _ENTRY), b""), _ENTRIES):
            text = line.removesuffix(b"\n")
            digest = md5(text, usedforsecurity=False).hexdigest()
            if digest in wanted:
                texts[digest] = text
    return texts
