"""S3, Google Cloud Storage and Azure Blob Storage through obstore."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from pydoit_sc.errors import warn_once
from pydoit_sc.store.awsclient import AwsClient
from pydoit_sc.store.blobs import Blob, ChangedError, TooLargeError
from pydoit_sc.store.cloudconfig import Config, said
from pydoit_sc.store.cloudfaults import explain
from pydoit_sc.store.layout import LARGEST

AT_ONCE = 64  # a publication is five round trips: at 30 ms, so many are 400 runs a second
#: Files up to this size are one request, tried once, which can create conditionally; larger ones are sent in parts.
ONE_REQUEST = 4 << 20
LONGEST = 120.0  # seconds for a request
RETRY_FOR = 40.0  # seconds; less than a lease, so a worker that was frozen does not repeat an old request
ONCE = 10.0  # seconds for a request that is tried once
_PIECE = 1 << 20
_SHORT = 1 << 16  # bytes that are read whole where the last of them are wanted
_STATUS = re.compile(r"status code: (4\d\d)")
_MAY_PASS = ("408", "425", "429")  # what a server says with 4… and does not mean for good
_DELETE_AT_ONCE = 1000  # S3 takes no more in one request


class CloudBlobs:
    """Objects below a prefix of a bucket."""

    at_once = AT_ONCE

    def __init__(self, config: Config) -> None:
        from obstore import exceptions, store  # noqa: PLC0415 - an extra

        self._exists, self._changed = exceptions.AlreadyExistsError, exceptions.PreconditionError
        self._no_path, self._generic = exceptions.InvalidPathError, exceptions.GenericError
        self._config, self._aws = config, AwsClient(config)
        self.is_atomic = True
        #: Servers of S3 that are not Amazon's may ignore a condition that they do not know.
        self._is_foreign = config.kind == "s3" and bool(said("endpoint", config.config))
        self.lists_after = config.kind == "s3"  # Azure sends all from the start
        self.not_in_keys = "\\" if config.kind == "az" else ""  # Azure makes `/` of it
        self._version = "version" if config.kind == "gs" else "e_tag"  # Google compares generations
        kind = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}[config.kind]
        more = {"credential_provider": config.credentials} if config.credentials else {}

        def connect(timeout: float, retries: int) -> Any:
            return kind(
                config.bucket,
                prefix=config.prefix or None,
                config=dict(config.config),
                **more,
                client_options={
                    "allow_http": True,  # for an endpoint with http://
                    "connect_timeout": timedelta(seconds=config.connect_timeout),
                    "read_timeout": timedelta(seconds=config.read_timeout),
                    "timeout": timedelta(seconds=timeout),
                },
                retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=RETRY_FOR)},
            )

        self._errors = exceptions.BaseError
        with self._explained():
            self._store = connect(LONGEST, config.retries)
            self._once = connect(min(config.read_timeout, ONCE), 0)

    def may_pass(self, error: Exception) -> bool:
        if not isinstance(error, self._generic):
            return False
        status = _STATUS.search(str(error))
        return status is None or status[1] in _MAY_PASS or "<Code>RequestTimeout</Code>" in str(error)

    def list(self, folder: str, after: str = "") -> Iterator[Blob]:
        try:
            with self._explained():
                for part in self._store.list(folder or None, offset=after or None, chunk_size=1000):
                    for item in part:
                        if item["path"] != folder:  # what another tool marks the folder with
                            after = item["path"]  # has been yielded
                            yield _blob(item)
        except self._no_path as error:  # the whole page with it is lost
            if self._config.kind != "s3":
                words = str(error).partition("\n")[0]
                raise OSError(f"{words}: the client cannot list such a name; rename or remove it") from error
            yield from self._aws.list(folder, after)

    def _explain(self, error: Exception) -> None:
        """Raise OSError with the reason if an error stays until the user has changed something."""
        if why := explain(str(error), self._config):
            raise OSError(why) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Do so for what is done meanwhile."""
        try:
            yield
        except (FileNotFoundError, self._errors) as error:
            self._explain(error)
            raise

    def is_marker(self, path: str) -> bool:
        try:
            self._store.head(path)
        except FileNotFoundError:
            return True
        return False

    def get(self, path: str, at_most: int = LARGEST) -> bytes:
        return self._get(path, at_most)[0]

    def tail(self, path: str, at_most: int) -> bytes:
        try:  # most are short; nobody but S3 and Google takes a range that counts from the end
            return self.get(path, _SHORT)[-at_most:]
        except TooLargeError:
            size = self._store.head(path)["size"]
            return bytes(self._store.get_range(path, start=max(0, size - at_most), end=size))

    def read(self, path: str) -> tuple[bytes, Blob]:
        return self._get(path, LARGEST)

    def _get(self, path: str, at_most: int) -> tuple[bytes, Blob]:
        with self._explained():
            answer = self._store.get(path)
        blob = _blob(answer.meta)._replace(version=answer.meta[self._version] or "")
        if blob.size > at_most:
            raise TooLargeError(f"{path}: {blob.size:,} bytes, expected {at_most:,} at most")
        return bytes(answer.bytes()), blob

    def open(self, path: str) -> BinaryIO:
        with self._explained():
            return io.BufferedReader(_Reader(self._store.get(path).stream(_PIECE)), _PIECE)

    def put(self, path: str, data: bytes) -> str:
        return self._put(path, data)[self._version] or ""

    def _put(self, path: str, data: bytes) -> Any:
        with self._explained():
            return self._once.put(path, data, use_multipart=False)

    def create(self, path: str, data: bytes) -> str:
        return self._create(path, data)[self._version] or ""

    def _create(self, path: str, data: bytes) -> Any:
        if self.is_atomic:
            try:
                return self._once.put(path, data, mode="create")
            except self._exists as error:
                raise FileExistsError(path) from error
            except Exception as error:
                self._go_on_without_conditions(error)
        with suppress(FileNotFoundError):
            self._store.head(path)
            raise FileExistsError(path)
        return self._put(path, data)

    def update(self, path: str, data: bytes, version: str) -> str:
        if self.is_atomic:
            try:
                return self._once.put(path, data, mode={self._version: version})[self._version] or ""
            except (self._changed, FileNotFoundError) as error:
                raise ChangedError(path) from error
            except Exception as error:
                self._go_on_without_conditions(error)
        try:
            there = self.read(path)[1].version
        except FileNotFoundError as error:
            raise ChangedError(path) from error
        if there != version:
            raise ChangedError(path)
        return self.put(path, data)

    def _go_on_without_conditions(self, error: Exception) -> None:
        """Note that the server refuses conditions, or that AWS_CONDITIONAL_PUT=disabled says so; raise another error."""
        if isinstance(error, NotImplementedError):
            self.is_atomic = False
        elif "status code: 501" in str(error):
            self._lacks_conditions("refuses")
        else:
            self._explain(error)
            raise error

    def _lacks_conditions(self, does: str) -> None:
        self.is_atomic = False
        warn_once(
            f"{self._config.kind}://{self._config.bucket}: the server {does} conditional requests (If-None-Match); two "
            "workers that take one run at the same moment may both publish it; AWS_CONDITIONAL_PUT=disabled hides this warning"
        )

    def check_conditions(self, path: str) -> None:
        if self.is_atomic and self._is_foreign:
            with suppress(FileExistsError):
                self._create(path, b"")
                self._create(path, b"")  # there since then, if it was not before
                self._lacks_conditions("ignores")

    def upload(self, file: str, path: str, *, new: bool) -> str:
        if os.path.getsize(file) > ONE_REQUEST:
            with self._explained():
                return self._store.put(path, Path(file), use_multipart=True)["e_tag"] or ""
        with open(file, "rb") as stream:
            data = stream.read()
        return (self._create if new else self._put)(path, data)["e_tag"] or ""

    def abort(self, path: str, size: int) -> None:
        if self._config.kind == "s3" and size > ONE_REQUEST:
            with suppress(Exception):  # an S3 server need not know of them, nor botocore be there
                self._aws.abort(path)

    def copy(self, source: str, target: str) -> None:
        with self._explained():
            self._store.copy(source, target)

    def delete(self, paths: Iterable[str]) -> None:
        rest = [*paths]
        while rest:
            part, rest = rest[:_DELETE_AT_ONCE], rest[_DELETE_AT_ONCE:]
            try:
                with self._explained():
                    self._once.delete(part)
            except FileNotFoundError as error:
                if self._config.kind == "s3":  # never said of an object, but by mistake
                    raise OSError(f"cannot delete {part[0]}: {error}") from error


class _Reader(io.RawIOBase):
    """A Python stream over an iterator of pieces of bytes."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = bytes(next(self._pieces, b""))
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _blob(item: Any) -> Blob:
    return Blob(item["path"], item["size"], item["e_tag"] or "", item["last_modified"].timestamp())
