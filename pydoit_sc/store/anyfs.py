"""Any other fsspec file system, and the clouds' own where obstore is not installed or lacks an option."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import md5
from typing import Any, BinaryIO, TypeVar, cast

import fsspec

from pydoit_sc.retries import pauses, retry
from pydoit_sc.store.blobs import Blob, ChangedError, TooLargeError, is_path, leave_alone
from pydoit_sc.store.layout import LARGEST
from pydoit_sc.urls import kind_of, scheme_of

#: Kinds of stores without folders: making one could make a bucket.
_FLAT = frozenset({"s3", "gs", "az", "flat"})
_TRIES, _PAUSE = 4, 0.2  # of a request that reads; seconds before the second
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_FINAL = (*_ABSENT, FileExistsError, PermissionError, NotImplementedError)

T = TypeVar("T")


class AnyBlobs:
    """Files below a folder of an fsspec file system.

    `create` and `update` look first and then write, unless the file system can do so in one step, as s3fs can
    create. So two workers that do so at the same moment may both succeed.
    """

    lists_after = is_atomic = False
    not_in_keys = ""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        kind = kind_of(url)
        # No cached listings: other workers write to the store at any moment. Not every class has the option.
        quiet: dict[str, Any] = {"skip_instance_cache": True, **options}
        if kind in _FLAT:
            quiet = {"use_listings_cache": False, **quiet}
        self._fs, root = fsspec.core.url_to_fs(url, **quiet)
        self._root: str = root.rstrip("/")
        self._flat, self._s3 = kind in _FLAT, kind == "s3"
        # Classes that are not asynchronous are seldom safe for several threads (sftp hung with 8).
        self.at_once = 8 if self._fs.async_impl or scheme_of(url) == "memory" else 1

    def may_pass(self, error: Exception) -> bool:
        # Libraries have errors of their own for a network that is gone.
        return _may_pass(error) if isinstance(error, OSError) else type(error).__module__ != "builtins"

    def list(self, folder: str, after: str = "") -> Iterator[Blob]:  # noqa: ARG002 - it is not asked for
        self._fs.invalidate_cache()
        try:
            found = _patiently(lambda: self._fs.find(self._path(folder), detail=True))
        except _ABSENT as error:
            self._check_bucket(error)
            return
        for path, info in found.items():
            # fsspec lists a file as itself; a path that ends so is what other tools mark a folder with.
            if path == self._path(folder) or path.endswith("/"):
                continue
            below = path[len(self._root) + 1 :]
            if is_path(below):
                yield self._blob(below, info)
            else:
                leave_alone(self._root, below)

    def _check_bucket(self, error: Exception) -> None:
        """Raise OSError if it is the bucket of S3 that is absent, not an object in it."""
        if "(NoSuchBucket)" in str(error.__cause__):
            raise OSError(f"there is no bucket `{self._root.partition('/')[0]}`") from error

    def _blob(self, path: str, info: Mapping[str, Any]) -> Blob:
        return Blob(path, info.get("size") or 0, str(info.get("ETag") or ""), _modified(info))

    def is_marker(self, path: str) -> bool:  # noqa: ARG002
        return False  # fsspec's listings have files alone

    def get(self, path: str, at_most: int = LARGEST) -> bytes:
        try:
            data = cast(bytes, _patiently(lambda: self._fs.cat_file(self._path(path))))
        except _ABSENT as error:
            self._check_bucket(error)
            raise FileNotFoundError(path) from error
        if len(data) > at_most:  # to ask for its size first would be another request
            raise TooLargeError(f"{path}: expected {at_most:,} bytes at most")
        return data

    def tail(self, path: str, at_most: int) -> bytes:
        try:
            size = _patiently(lambda: self._fs.info(self._path(path)))["size"] or 0
            start = max(0, size - at_most)
            return self._part(path, start, size) if size else b""
        except _ABSENT as error:
            raise FileNotFoundError(path) from error

    def _part(self, path: str, start: int, end: int) -> bytes:
        return cast(bytes, _patiently(lambda: self._fs.cat_file(self._path(path), start=start, end=end)))

    def read(self, path: str) -> tuple[bytes, Blob]:
        data = self.get(path)
        info = _patiently(lambda: self._fs.info(self._path(path)))
        return data, self._blob(path, info)._replace(version=_tag(data))

    def open(self, path: str) -> BinaryIO:
        try:
            return cast(BinaryIO, _patiently(lambda: self._fs.open(self._path(path), "rb")))
        except _ABSENT as error:
            raise FileNotFoundError(path) from error

    def put(self, path: str, data: bytes) -> str:
        self._write(path, lambda full: self._fs.pipe_file(full, data))
        return _tag(data)

    def create(self, path: str, data: bytes) -> str:
        try:
            self._write(path, lambda full: self._fs.pipe_file(full, data, mode="create"))
        except OSError as error:
            if isinstance(error, FileExistsError) or "PreconditionFailed" in f"{error} {error.__cause__}":
                raise FileExistsError(path) from error
            raise
        return _tag(data)

    def update(self, path: str, data: bytes, version: str) -> str:
        try:
            if version != _tag(self.get(path)):
                raise ChangedError(path)
        except FileNotFoundError as error:
            raise ChangedError(path) from error
        return self.put(path, data)

    def check_conditions(self, path: str) -> None:
        pass  # it is known that they do not

    def upload(self, file: str, path: str, *, new: bool) -> str:
        if new and _patiently(lambda: self._fs.exists(self._path(path))):
            raise FileExistsError(path)
        self._write(path, lambda full: self._fs.put_file(file, full))
        return ""

    def abort(self, path: str, size: int) -> None:
        """Nothing: fsspec aborts those of a whole bucket at once, or none."""

    def copy(self, source: str, target: str) -> None:
        self._write(target, lambda full: self._fs.cp_file(self._path(source), full))

    def delete(self, paths: Iterable[str]) -> None:
        for path in paths:  # one by one: `rm` of a list reads names as patterns
            try:
                self._fs.rm_file(self._path(path))
            except _ABSENT as error:
                if self._s3:  # which says so of no object, but of the bucket, or by mistake
                    raise OSError(f"cannot delete {path}: {error}") from error

    def _write(self, path: str, write: Callable[[str], object]) -> None:
        full = self._path(path)
        try:
            write(full)
        except _ABSENT:
            if self._flat:
                raise
            self._fs.makedirs(full.rpartition("/")[0], exist_ok=True)
            write(full)

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def _patiently(call: Callable[[], T]) -> T:
    """Read, and try again after an error that may pass: many of these classes do not do so themselves."""
    return retry(call, pauses(_TRIES - 1, _PAUSE), when=_may_pass)


def _may_pass(error: Exception) -> bool:
    # EINVAL: s3fs says so of a request that is wrong itself.
    return isinstance(error, OSError) and not isinstance(error, _FINAL) and error.errno != errno.EINVAL


def _tag(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


def _modified(info: Mapping[str, Any]) -> float | None:
    """Return when a file was written; the classes have several names for it."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "modified", "created"):
        when = info.get(name)
        if isinstance(when, datetime):
            return when.timestamp()
        if isinstance(when, (int, float)):
            return float(when)
    return None
