"""The requests that a store of objects makes, over paths below one root."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, TypeVar

from pydoit_sc.errors import warn_once
from pydoit_sc.sidebyside import side_by_side
from pydoit_sc.store.layout import LARGEST

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_AHEAD = 16  # questions for each thread: one takes 2 KB, and is answered quickly
_CONTROL = re.compile("[\0-\x1f\x7f]")

A = TypeVar("A")
B = TypeVar("B")


class TooLargeError(Exception):
    """An object is larger than what was expected, and has not been read."""


class ChangedError(Exception):
    """The version of an object that was to be replaced is not there, or not any more."""


class Blob(NamedTuple):
    """An object as a listing shows it."""

    path: str
    size: int  # bytes
    etag: str  # as the store writes it; "" where it has none
    modified: float | None  # seconds since the epoch by the store's own clock, where it says
    version: str = ""  # what `update` wants; a listing need not show it

    @property
    def md5(self) -> str:
        """The MD5 of the content in hexadecimal, "" where the ETag is plainly none, as of several parts.

        With keys of KMS, and in directory buckets of S3, it looks like one and is none. So it counts only beside a
        `run.json` whose MD5 it is.
        """
        tag = self.etag.strip('"')
        return tag if len(tag) == 32 else ""


class Blobs(Protocol):
    """Objects below a root; every path is relative to it.

    A missing object raises FileNotFoundError. Other failures raise what the library raises, within bounded time and after
    its retries. But a request that writes is made once, and briefly, since it must not come late: the caller tries again.
    """

    at_once: int  # how many threads may use it
    not_in_keys: str  # characters that the store takes for others
    lists_after: bool  # whether `list` can begin in the middle without having asked for what is before
    is_atomic: bool  # whether `create` and `upload` look and write in one step, as far as is known

    def may_pass(self, error: Exception) -> bool:
        """Return whether an error may pass by itself: an outage, and not a refusal, an object that is there, or a local file."""

    def list(self, folder: str, after: str = "") -> Iterator[Blob]:
        """Yield all objects below a folder, "" for the root; nothing where there is none.

        `after`: only those that the store lists after this path, which need not be there.
        """

    def is_marker(self, path: str) -> bool:
        """Return whether what a listing shows without content is no object, but what another tool marks a folder with."""

    def get(self, path: str, at_most: int = LARGEST) -> bytes:
        """Return an object's content; raises TooLargeError where it has more bytes than `at_most`."""

    def read(self, path: str) -> tuple[bytes, Blob]:
        """Return an object's content, as `get` does, and what it is known by."""

    def open(self, path: str) -> BinaryIO:
        """Open an object to read it in pieces."""

    def tail(self, path: str, at_most: int) -> bytes:
        """Return the last bytes of an object, at most so many."""

    def put(self, path: str, data: bytes) -> str:
        """Write an object over what is there, and return its version."""

    def create(self, path: str, data: bytes) -> str:
        """Write a new object and return its version; raises FileExistsError."""

    def update(self, path: str, data: bytes, version: str) -> str:
        """Replace one version of an object and return the new one; raises ChangedError if another is there, or none."""

    def check_conditions(self, path: str) -> None:
        """See whether `create` fails where something is there, which not all servers heed; `is_atomic` is False from then on.

        `path` is that of an object that is there for this alone.
        """

    def upload(self, file: str, path: str, *, new: bool) -> str:
        """Write a local file, whole or not at all; if `new`, as `create` does, where the store can for a file of its size.

        Returns its ETag, "" where that is not known.
        """

    def abort(self, path: str, size: int) -> None:
        """Abort uploads in parts, of so many bytes, that nobody completes any more; where that is not possible, do nothing."""

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store."""

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects, in any order; missing ones are ignored."""


def get_all(blobs: Blobs, paths: Iterable[str]) -> dict[str, bytes]:
    """Return the contents of many objects, read at once; missing ones are left out, and too large ones empty."""

    def read(path: str) -> tuple[str, bytes | None]:
        try:
            return path, blobs.get(path)
        except FileNotFoundError:
            return path, None
        except TooLargeError:
            return path, b""

    return {path: data for path, data in ask_each(blobs, read, paths) if data is not None}


def ask_each(blobs: Blobs, ask: Callable[[A], B], values: Iterable[A]) -> Iterator[B]:
    """Yield what `ask` returns for each value, as many at once as a store may be asked; an error is raised in its turn."""
    return side_by_side(ask, values, blobs.at_once, _AHEAD)


def is_path(name: str) -> bool:
    """Return whether the name of an object, below a root, is a path that every client takes.

    >>> [is_path(name) for name in ("a/b c", "a//b", "a/", "a/./b", "../b", "a\\nb")]
    [True, False, False, False, False, False]
    """
    return not ({"", ".", ".."}.intersection(name.split("/")) or _CONTROL.search(name))


def leave_alone(url: str, path: str) -> None:
    """Tell the user of an object below a URL that is none of ours: an empty one marks a folder where its name ends in `/`."""
    what = "that mark folders" if path.endswith("/") else "whose names are no paths"
    warn_once(f"{url}: objects {what} are left alone", such_as=f"`{path}`")


def threads_for(blobs: Blobs) -> ThreadPoolExecutor:
    """Return as many threads as may use a store."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it loads `logging`, for stores of objects alone

    return ThreadPoolExecutor(blobs.at_once)
