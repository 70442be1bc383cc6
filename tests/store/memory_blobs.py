"""An object store in memory with a clock of its own, whose requests can be stopped, lost and delayed one by one."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from hashlib import md5
from typing import BinaryIO

from pydoit_sc.store.blobs import Blob, ChangedError, TooLargeError
from pydoit_sc.store.layout import LARGEST

#: Is called with a request before it takes effect; what it raises is the client's, and the request has no effect.
Hook = Callable[[str, str], None]


class Bucket:
    """What all clients see."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.clock = 1_000_000.0
        self.mutex = threading.Lock()


class MemoryBlobs:
    """A client of a bucket."""

    at_once = 1
    lists_after = False
    not_in_keys = ""
    is_atomic = True

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.before: Hook = lambda _verb, _path: None
        self.after: Hook = lambda _verb, _path: None  # what it raises: the reply is lost

    def may_pass(self, error: Exception) -> bool:
        return isinstance(error, ConnectionError)

    def list(self, folder: str, after: str = "") -> Iterator[Blob]:
        self.before("list", folder)
        with self.bucket.mutex:
            found = [self._blob(path) for path in sorted(self.bucket.objects)]
        prefix = f"{folder}/" if folder else ""
        return iter([blob for blob in found if blob.path.startswith(prefix)])

    def is_marker(self, path: str) -> bool:
        return path not in self.bucket.objects

    def get(self, path: str, at_most: int = LARGEST) -> bytes:
        data = self.read(path)[0]
        if len(data) > at_most:
            raise TooLargeError(path)
        return data

    def read(self, path: str) -> tuple[bytes, Blob]:
        self.before("get", path)
        with self.bucket.mutex:
            if path not in self.bucket.objects:
                raise FileNotFoundError(path)
            return self.bucket.objects[path][0], self._blob(path)

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self.get(path))

    def tail(self, path: str, at_most: int) -> bytes:
        return self.get(path)[-at_most:]

    def put(self, path: str, data: bytes) -> str:
        self.before("put", path)
        with self.bucket.mutex:
            tag = self._set(path, data)
        self.after("put", path)
        return tag

    def create(self, path: str, data: bytes) -> str:
        self.before("create", path)
        with self.bucket.mutex:
            if path in self.bucket.objects:
                raise FileExistsError(path)
            tag = self._set(path, data)
        self.after("create", path)
        return tag

    def update(self, path: str, data: bytes, version: str) -> str:
        self.before("update", path)
        with self.bucket.mutex:
            if path not in self.bucket.objects or self._blob(path).version != version:
                raise ChangedError(path)
            tag = self._set(path, data)
        self.after("update", path)
        return tag

    def check_conditions(self, path: str) -> None:
        pass

    def upload(self, file: str, path: str, *, new: bool) -> str:
        with open(file, "rb") as stream:
            return (self.create if new else self.put)(path, stream.read())

    def abort(self, path: str, size: int) -> None:
        pass

    def copy(self, source: str, target: str) -> None:
        self.before("copy", source)
        with self.bucket.mutex:
            if source not in self.bucket.objects:
                raise FileNotFoundError(source)
            self._set(target, self.bucket.objects[source][0])
        self.after("copy", source)

    def delete(self, paths: Iterable[str]) -> None:
        listed = [*paths]
        self.before("delete", " ".join(listed))
        with self.bucket.mutex:
            for path in listed:
                self.bucket.objects.pop(path, None)
        self.after("delete", " ".join(listed))

    def _set(self, path: str, data: bytes) -> str:
        self.bucket.objects[path] = (data, self.bucket.clock)
        return self._blob(path).version

    def _blob(self, path: str) -> Blob:
        data, modified = self.bucket.objects[path]
        etag = f'"{md5(data).hexdigest()}"'
        return Blob(path, len(data), etag, modified, etag)
