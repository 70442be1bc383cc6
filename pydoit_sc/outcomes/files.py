"""The files of a run's output as its `run.json` lists them, read so that what is wrong with one of them is an answer.

What a store has may have been written by anybody. It follows a link where that leads to a file of the same output, and
nowhere else: what it leads to may be another user's secret, which this one would copy.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from hashlib import md5
from typing import BinaryIO, NamedTuple, TypeVar

from pydoit_sc.batch import OURS
from pydoit_sc.retries import pauses, retry
from pydoit_sc.store import Outputs, StoreError
from pydoit_sc.store.base import answers
from pydoit_sc.store.documents import FileEntry, Manifest
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE
from pydoit_sc.store.stamps import read
from pydoit_sc.urls import local_path
from pydoit_sc.utf8 import is_text

_BLOCK = 1 << 18  # bytes
_TRIES, _PAUSE = 3, 0.5  # of a file, where the store fails; seconds before the second

T = TypeVar("T")


class BadFileError(Exception):
    """A file of a run cannot be had, though the store answers; the text says why."""


class Listed(NamedTuple):
    """The files of a run but its two small ones."""

    files: dict[str, FileEntry]  # by path below its output
    wrong: list[str]  # what is wrong with other names in its `run.json`


def files_of(store: Outputs, key: str, run_json: bytes | None) -> Listed:
    """Return the files of a run; raises StoreError.

    Where its `run.json` lists none, as `sc` writes none, the store is asked, and no digests are known.
    """
    manifest = read(Manifest, run_json) if run_json is not None else None
    if manifest is None or manifest.files is None:
        listed = {name: FileEntry(size=size) for name, size in store.files(key).items()}
    else:
        listed = manifest.files
    found = {
        name: entry
        for name, entry in listed.items()
        if is_inside(name) and name not in (RUN_JSON, STATUS_CODE)
    }
    return Listed(
        found, [f"{name}: no name of a file in an output" for name in listed if not is_inside(name)]
    )


def is_inside(name: str) -> bool:
    r"""Return whether a name in a `run.json` is one of a file below the output.

    >>> [is_inside(name) for name in ("results/a b", "results/..", "/etc/x", "a//b", ".pydoit_sc/x", "", "a\0", "\ud800")]
    [True, False, False, False, False, False, False, False]
    """
    parts = name.split("/")
    return "\0" not in name and is_text(name) and parts[0] != OURS and not {"", ".", ".."}.intersection(parts)


def blocks(store: Outputs, key: str, path: str, entry: FileEntry) -> Iterator[bytes]:
    """Yield a file in pieces; raises BadFileError for what is wrong with it alone, StoreError where the store fails.

    That its size or its digest is wrong is known at its end.
    """
    try:
        where = answers(f"{store.url}/{key}/{path}", Exception, but=(FileNotFoundError, BadFileError))
        with where, store.open(key, path) as file:
            # The size of a link is not that of a file, and it has no digest.
            root = local_path(store.url)
            is_link = bool(root and entry.md5 is None and _is_link(file, f"{root}/{key}", path))
            size, seen = 0, md5(usedforsecurity=False)
            while (is_link or size <= entry.size + _BLOCK) and (block := file.read(_BLOCK)):
                size += len(block)
                seen.update(block)
                yield block
            if size != entry.size and not is_link:
                # It may be larger than the disk of who reads it.
                more = " or more" if size > entry.size + _BLOCK else ""
                raise BadFileError(f"expected {entry.size:,} bytes, found {size:,}{more}")
            if entry.md5 not in (None, seen.hexdigest()):
                raise BadFileError("its content is not that of the attempt")
    except FileNotFoundError:
        raise BadFileError("missing") from None
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and not isinstance(cause, (ConnectionError, TimeoutError)):
            raise BadFileError(cause.strerror or str(cause)) from None  # it is closed to us, or a pipe
        raise


def patiently(call: Callable[[], T]) -> T:
    """Return what `call` returns, which reads a file; call it again where the store fails."""
    return retry(call, pauses(_TRIES - 1, _PAUSE), when=lambda error: isinstance(error, StoreError))


def is_link_itself(store: Outputs, key: str, path: str, entry: FileEntry) -> bool:
    """Return whether a file of an output is a link, as it was when its `run.json` was written: of that size, without a digest."""
    if entry.md5 is not None or not (root := local_path(store.url)):
        return False
    try:
        there = os.lstat(f"{root}/{key}/{path}")
    except OSError:
        return False
    return stat.S_ISLNK(there.st_mode) and there.st_size == entry.size


def _is_link(file: BinaryIO, output: str, path: str) -> bool:
    """Return whether an open file has another path than that of its name."""
    return os.readlink(f"/proc/self/fd/{file.fileno()}") != f"{os.path.realpath(output)}/{path}"
