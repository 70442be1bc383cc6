"""The index of an object store: the contents of many small `run.json`, so that a scan need not read each.

It is a cache and never the truth: an entry counts only if its MD5 is the ETag that the listing shows for the object
itself now. So an index that is stale, torn, missing or wrong costs requests and changes no answer.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from hashlib import md5

_CODES = {
    md5(str(code).encode(), usedforsecurity=False).hexdigest(): str(code).encode() for code in range(256)
}


def status_code_of(digest: str) -> bytes | None:
    """Return the content of a `status_code` whose MD5 is known, else None."""
    return _CODES.get(digest)


def pack(contents: Iterable[bytes]) -> bytes:
    """Return an index of these texts, of one line each."""
    return gzip.compress(b"\n".join(contents), compresslevel=1)


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the texts of an index by their MD5; none if it cannot be read."""
    try:
        lines = gzip.decompress(data).split(b"\n")
    except (OSError, EOFError, zlib.error):
        return {}
    return {md5(line, usedforsecurity=False).hexdigest(): line for line in lines}
