"""Bring outputs from a store to a folder, so that what is finished there is whole, and of one attempt.

A file gets its name when all of it is there and its digest is that of `run.json`; what is there already and has that digest
stays. As on an object store, `status_code` comes last, and goes first where another attempt was there: a folder with
one has all files of that attempt, whenever this was stopped. Of the other attempt, the files that its own `run.json`
lists are removed; what somebody else has put there stays. What a link leads to is brought, and no link is made.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from pydoit_sc.errors import UserError, reason
from pydoit_sc.files import make_folders, not_for_all, replacing, write_whole
from pydoit_sc.outcomes.files import BadFileError, blocks, files_of, is_inside, is_link_itself, patiently
from pydoit_sc.outcomes.results import Document
from pydoit_sc.store import Outputs, UnreadableError
from pydoit_sc.store.digests import digest
from pydoit_sc.store.documents import FileEntry, Manifest
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE
from pydoit_sc.store.reading import read_file
from pydoit_sc.store.stamps import read

_THREADS = 16
_LOOK = 0.2  # seconds between two calls of `tick`
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # what every further file would meet, too


class Fetched(NamedTuple):
    """How the fetching of a run's output has ended."""

    key: str
    files: int = 0  # that were brought; none where all were there
    by_size: int = 0  # files that only their sizes could be compared of: no digest is known
    wrong: tuple[str, ...] = ()  # files that could not be had, and why
    left_out: tuple[str, ...] = ()  # links that lead to no file of the same run, and why


class _StoppedError(Exception):
    """The user wants no more."""


class Fetcher:
    """Brings outputs from a store to a folder."""

    def __init__(self, store: Outputs, folder: str) -> None:
        self.bytes = 0  # that were brought
        self._store, self._folder = store, folder
        self._is_stopped = False

    def fetch(
        self, documents: Iterable[Document], threads: int, tick: Callable[[], None]
    ) -> Iterator[Fetched]:
        """Yield the end of each of these runs, some at once; `tick` is called now and then. Raises StoreError, UserError."""
        from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait  # noqa: PLC0415 - slow to import

        pending: set[Future[Fetched]] = set()

        def ended() -> Iterator[Fetched]:
            done, _ = wait(pending, _LOOK, FIRST_COMPLETED)
            pending.difference_update(done)
            tick()
            yield from (future.result() for future in done)

        threads = min(threads, _THREADS)
        with ThreadPoolExecutor(threads) as pool:
            try:
                for document in documents:
                    pending.add(pool.submit(self._fetch_latest, document))
                    while len(pending) > threads:
                        yield from ended()
                while pending:
                    yield from ended()
            finally:
                self._is_stopped = True
                for future in pending:
                    future.cancel()

    def _fetch_latest(self, document: Document) -> Fetched:
        """Fetch a run, once more where a worker may have replaced it meanwhile."""
        found = self._fetch(document)
        if found.wrong:
            for again in self._store.documents([document[0]]):
                if again != document:
                    return self._fetch(again)
        return found

    def _fetch(self, document: Document) -> Fetched:
        key, status_code, run_json = document
        try:
            entries, wrong = files_of(self._store, key, run_json)
        except UnreadableError as error:
            return Fetched(key, wrong=(str(error),))
        left_out: list[str] = []
        try:
            is_new = _prepare(f"{self._folder}/{key}", document, entries)
            missing = [
                name
                for name, entry in entries.items()
                if not _is_there(f"{self._folder}/{key}/{name}", entry)
            ]
            brought = 0
            for name in missing:
                if (bad := self._bring(key, name, entries[name])) is None:
                    brought += 1
                elif is_link_itself(self._store, key, name, entries[name]):
                    left_out.append(f"{name}: a link, left out: {bad}")
                else:
                    wrong.append(f"{name}: {bad}")
            mark = f"{self._folder}/{key}/{STATUS_CODE}"
            if wrong:
                _remove(mark)
            elif is_new:
                write_whole(mark, status_code)
        except OSError as error:
            raise UserError(f"--to: {reason(error)}") from error
        by_size = sum(entry.md5 is None for entry in entries.values())
        return Fetched(key, brought + is_new, by_size, tuple(wrong), tuple(left_out))

    def _bring(self, key: str, name: str, entry: FileEntry) -> str | None:
        """Bring a file; return what is wrong with it, None if it is there now. Raises StoreError, OSError."""
        try:
            patiently(partial(self._copy, key, name, entry))
        except BadFileError as error:
            return str(error)
        except OSError as error:
            if error.errno in _FULL:
                raise
            return reason(error)
        return None

    def _copy(self, key: str, name: str, entry: FileEntry) -> None:
        path = f"{self._folder}/{key}/{name}"
        make_folders(os.path.dirname(path))
        with replacing(path) as aside, open(aside, "xb", opener=not_for_all) as file:
            for block in blocks(self._store, key, name, entry):
                if self._is_stopped:
                    raise _StoppedError
                file.write(block)
                self.bytes += len(block)  # a figure for a screen


def _prepare(folder: str, document: Document, entries: Mapping[str, FileEntry]) -> bool:
    """Give a folder the `run.json` of an attempt, and return whether its `status_code` is to come; raises OSError.

    Of another attempt that was there, `status_code` goes first, then the files that this one has not.
    """
    _, status_code, run_json = document
    make_folders(folder)
    before = os.path.join(folder, RUN_JSON)
    old = read_file(before, None)
    if old == run_json:
        return read_file(os.path.join(folder, STATUS_CODE), None) != status_code
    _remove(os.path.join(folder, STATUS_CODE))
    manifest = read(Manifest, old) if old is not None else None
    for name in (manifest and manifest.files) or ():
        if name not in entries and is_inside(name):
            _remove(os.path.join(folder, name))
    if run_json is None:
        _remove(before)
    else:
        write_whole(before, run_json)
    return True


def _remove(path: str) -> None:
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        os.unlink(path)


def _is_there(path: str, entry: FileEntry) -> bool:
    """Return whether a file is there whole: of that size, and with that digest where one is known."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            if os.fstat(fd).st_size != entry.size:
                return False
            return entry.md5 is None or digest(file)[1] == entry.md5
    return False
