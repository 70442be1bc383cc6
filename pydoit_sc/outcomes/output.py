"""What runs write while they execute: read from their files where these are in reach, else from what their workers show."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import BinaryIO

from pydoit_sc.store import Live, Store, StoreError
from pydoit_sc.store.asking import Ending, worker_of
from pydoit_sc.store.folders import attempts_of
from pydoit_sc.store.history import home_of
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.store.reading import open_inside

_BLOCK = 1 << 20  # bytes that are read at once
#: Seconds from when an attempt executes no longer until it is taken for one that is not published.
PUBLISHED_WITHIN = 30.0


class LiveOutput:
    """The stdout and stderr of an attempt at a run that executes: `new` yields what is new of them."""

    def __init__(self, store: Store, key: str, live: Live) -> None:
        self.live = live
        self._key = key
        self.attempt = os.path.basename(live.folder)
        self._store = store
        self._taken = {STDOUT: 0, STDERR: 0}  # bytes
        self._files: dict[str, BinaryIO] = {}
        self.lost: dict[str, int] = {}
        self._shown: Mapping[str, Ending] = {}
        #: When it was first seen to execute no longer, by the monotonic clock.
        self._ended: float | None = None
        self._find()

    @property
    def is_known(self) -> bool:
        """Whether it is in reach, or its worker has shown something of it."""
        return self.is_here or bool(self._shown)

    @property
    def is_here(self) -> bool:
        """Whether its files are in reach."""
        return len(self._files) == len(self._taken)

    def _find(self) -> None:
        """Open its files, as far as they are in reach and not open yet."""
        for name in self._taken.keys() - self._files.keys():
            if file := self._open(name):
                self._files[name] = file

    def _open(self, name: str) -> BinaryIO | None:
        with suppress(OSError):  # it is on another machine, or has just ended
            return open_inside(self.live.folder, name)
        worker = worker_of(self.attempt)
        if (
            self._store.in_place and worker
        ):  # the same file system, in another place; or it was retried just now
            for place in (attempts_of(worker), home_of(self._key)):
                with suppress(FileNotFoundError, StoreError):
                    return self._store.open(f"{place}/{self.attempt}", name)
        return None

    def show(self, shown: Mapping[str, Ending]) -> None:
        """Take up what its worker shows of it."""
        self._shown = shown

    def may_be_published(self) -> bool:
        """Return whether the rest of an attempt that executes no longer, and is out of reach, may still come by its outcome."""
        self._ended = self._ended or time.monotonic()
        return not self.is_here and time.monotonic() - self._ended < PUBLISHED_WITHIN

    def new(self, name: str) -> Iterator[bytes]:
        """Yield what is new of a file now, and note in `lost` how many bytes before that are out of reach."""
        if not (self.is_here or self._shown):
            self._find()  # the attempt makes them itself, a moment after its start
        if self.is_here:
            file = self._files[name]
            end = os.fstat(file.fileno()).st_size  # it may be written as fast as it is read
            while data := file.read(max(0, min(_BLOCK, end - self._taken[name]))):
                self._taken[name] += len(data)
                yield data
        elif ending := self._shown.get(name):
            data, lost = ending.after(self._taken[name])
            self._taken[name] += lost + len(data)
            if lost:
                self.lost[name] = lost
            yield data

    def rest(self, name: str, key: str | None) -> Iterator[bytes]:
        """Yield the rest of a file, once the attempt has ended; `key` is that of its output if it was published."""
        if self.is_here:
            while data := self._files[name].read(_BLOCK):
                yield data
        elif key is not None:
            yield from self._published_rest(name, key)

    def _published_rest(self, name: str, key: str) -> Iterator[bytes]:
        with suppress(FileNotFoundError), self._store.open(key, name) as file:
            left = self._taken[name]
            while data := file.read(_BLOCK):
                yield data[left:]
                left = max(0, left - len(data))

    def close(self) -> None:
        """Let go of its files."""
        for file in self._files.values():
            file.close()
