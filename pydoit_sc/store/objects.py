"""The store on any other fsspec file system: files are uploaded, `status_code` last.

A run whose outcome is replaced loses its `status_code` first, so a reader never takes a mixture for finished.
Between two workers that publish the same run at the same moment this order alone is no promise.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

import fsspec

from pydoit_sc.batch import OURS
from pydoit_sc.store.base import Finished, Live, Outcome, Staged, StoreError
from pydoit_sc.store.index import digest, pack, status_code_of, unpack
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, Record, parse_record

INDEX_EVERY = 1000  # outcomes in one object of the index


class ObjectStore:
    """Outputs below a prefix of an fsspec file system."""

    stagers = 8

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url.rstrip("/")
        # Never a cached listing: other workers write to the store at any moment.
        quiet = {"use_listings_cache": False, "skip_instance_cache": True, **options}
        self.fs, root = fsspec.core.url_to_fs(self.url, **quiet)
        self.root: str = root.rstrip("/")
        self._published: deque[bytes] = deque()  # run.json of outcomes that no index has yet

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        """Answer from one listing and the index; what these do not tell is read, many files at once."""
        with _answers(self.url):
            present = self._list(self.root)
            found = [key for key in keys if self._path(key, STATUS_CODE) in present]
            known = self._read_index(present) if found else {}
            contents: dict[str, bytes] = {}
            unknown: list[str] = []
            for path in (self._path(key, file) for key in found for file in (STATUS_CODE, RUN_JSON)):
                info = present.get(path, {})
                content = status_code_of(info) or known.get(digest(info) or "")
                if content is not None:
                    contents[path] = content
                elif info:
                    unknown.append(path)
            contents.update(self._read_all(unknown))
        return {
            key: parse_record(contents[path], contents.get(self._path(key, RUN_JSON)))
            for key in found
            if (path := self._path(key, STATUS_CODE)) in contents
        }

    def _list(self, path: str) -> dict[str, dict[str, Any]]:
        try:
            found: dict[str, dict[str, Any]] = self.fs.find(path, detail=True)
        except FileNotFoundError:
            return {}
        return found

    def _read_index(self, present: Iterable[str]) -> dict[str, bytes]:
        """Return the contents that the index has, by their MD5."""
        folder = f"{self.root}/{OURS}/index/"
        known: dict[str, bytes] = {}
        for data in self._read_all([path for path in present if path.startswith(folder)]).values():
            known.update(unpack(data))
        return known

    def _write_index(self, at_least: int) -> None:
        """Add the outcomes published since the last time to the index, if there are so many."""
        if len(self._published) < at_least:
            return
        contents = []
        with suppress(IndexError):  # empty: other threads take from it too
            while True:
                contents.append(self._published.popleft())
        path = f"{self.root}/{OURS}/index/{uuid.uuid4().hex}"
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.pipe_file(path, pack(contents))

    def _read_all(self, paths: list[str]) -> dict[str, bytes]:
        """Read many small objects, at once where the file system can; those that are gone are left out."""
        if not paths:
            return {}
        answers = self.fs.cat(paths, recursive=False, on_error="return")
        if isinstance(answers, bytes):  # fsspec: one path, one answer
            return {paths[0]: answers}
        for answer in answers.values():
            if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                raise OSError(f"{answer}") from answer
        return {path: data for path, data in answers.items() if isinstance(data, bytes)}

    def _record(self, key: str) -> Record | None:
        """Read one run's record."""
        paths = self._path(key, STATUS_CODE), self._path(key, RUN_JSON)
        contents = self._read_all(list(paths))
        return parse_record(contents[paths[0]], contents.get(paths[1])) if paths[0] in contents else None

    def peek(self, key: str) -> Record | None:  # noqa: ARG002
        return None  # a request for each attempt is not cheap

    @contextmanager
    def workspace(self, worker: str, scratch: str | None) -> Iterator[str]:
        with _answers(scratch or "the folder for temporary files"):
            if scratch is not None:
                os.makedirs(scratch, exist_ok=True)
            prefix = f"pydoit-sc-{worker}-"
            temporary = tempfile.TemporaryDirectory(prefix=prefix, dir=scratch, ignore_cleanup_errors=True)
        with temporary as folder:
            yield folder

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        return [self._stage(attempt) for attempt in attempts]

    def _stage(self, attempt: Finished) -> Staged | StoreError:
        try:
            with _answers(self.url):
                return Staged(attempt, outcome=self._publish(attempt))
        except StoreError as error:
            return error

    def commit(self, staged: Staged) -> Outcome:
        """Return what `stage` found: the upload of `status_code`, its last step, was the commit."""
        assert staged.outcome is not None
        return staged.outcome

    def _publish(self, attempt: Finished) -> Outcome:
        root = self._path(attempt.key)
        old = self._list(root)
        there = self._record(attempt.key) if self._path(attempt.key, STATUS_CODE) in old else None
        if there and there.code == 0 and there.attempt != attempt.supersedes:
            shutil.rmtree(attempt.folder, ignore_errors=True)
            return Outcome.LOST
        self._to_history(attempt.key, list(old), there)
        for folder, _, files in os.walk(attempt.folder):
            for file in files:
                path = os.path.join(folder, file)
                name = os.path.relpath(path, attempt.folder)
                if name != STATUS_CODE and os.path.isfile(path):  # a pipe or a socket is no result
                    self._upload(path, f"{root}/{name}")
        self._upload(os.path.join(attempt.folder, STATUS_CODE), f"{root}/{STATUS_CODE}")
        with open(os.path.join(attempt.folder, RUN_JSON), "rb") as run_json:
            self._published.append(run_json.read())
        self._write_index(INDEX_EVERY)
        shutil.rmtree(attempt.folder, ignore_errors=True)
        return Outcome.PUBLISHED

    def _upload(self, path: str, name: str) -> None:
        try:
            self.fs.put_file(path, name)
        except FileNotFoundError:  # on a store that has folders
            self.fs.makedirs(name.rpartition("/")[0], exist_ok=True)
            self.fs.put_file(path, name)

    def settle(self) -> None:
        """Complete the index; nothing else is pending, since `stage` returns when the store has answered."""
        with _answers(self.url):
            self._write_index(1)

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:
        """Say nothing: a request for every change is too much to ask of a store."""

    def running(self) -> Mapping[str, Live]:
        return {}

    def files(self, key: str) -> Mapping[str, int]:
        root = self._path(key)
        with _answers(self.url):
            found = sorted(self._list(root).items())
            return {path[len(root) + 1 :]: info["size"] or 0 for path, info in found}

    def open(self, key: str, file: str) -> BinaryIO:
        try:
            with _answers(self.url):
                return cast(BinaryIO, self.fs.open(self._path(key, file), "rb"))
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise error.__cause__ from error
            raise

    def forget(self, key: str) -> bool:
        with _answers(self.url):
            there = list(self._list(self._path(key)))
            if there:
                self._to_history(key, there, self._record(key))
        return bool(there)

    def _to_history(self, key: str, files: list[str], record: Record | None) -> None:
        """Move a run's files there, into a folder named after their attempt."""
        name = (record and record.attempt) or "unknown"
        place, n = f"{self.root}/{OURS}/history/{key}/{name}", 0
        while files and self._list(place):
            n += 1
            place = f"{self.root}/{OURS}/history/{key}/{name}.{n}"
        for path in files:
            self.fs.cp_file(path, place + path[len(self._path(key)) :])
        self._remove_files(files)

    def remove(self, key: str) -> bool:
        with _answers(self.url):
            there = list(self._list(self._path(key)))
            self._remove_files(there)
            self._remove_files(list(self._list(f"{self.root}/{OURS}/history/{key}")))
        return bool(there)

    def _remove_files(self, paths: list[str]) -> None:
        """Delete files, `status_code` first; one by one, since `rm` of a list reads names as patterns."""
        for path in sorted(paths, key=lambda path: not path.endswith(f"/{STATUS_CODE}")):
            self.fs.rm_file(path)

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with _answers(self.url):
            files = (path[len(self.root) + 1 :].rpartition("/") for path in self._list(self.root))
            outputs = {
                key for key, _, file in files if file == STATUS_CODE and not key.startswith(f"{OURS}/")
            }
        for key in sorted(outputs - keys):
            parents = key.split("/")[:-1]  # a file of this name among a run's results makes no output
            above = {"/".join(parents[: n + 1]) for n in range(len(parents))}
            if not above & (outputs | keys):
                yield key

    def write_note(self, name: str, data: bytes) -> None:
        with _answers(self.url):
            path = self._path(OURS, name)
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.fs.pipe_file(path, data)

    def read_note(self, name: str) -> bytes:
        with self.open(OURS, name) as file:
            return file.read()

    def notes(self, folder: str) -> Sequence[str]:
        with _answers(self.url):
            root = self._path(OURS)
            return sorted(path[len(root) + 1 :] for path in self._list(f"{root}/{folder}"))

    def _path(self, key: str, file: str = "") -> str:
        return f"{self.root}/{key}/{file}" if file else f"{self.root}/{key}"


@contextmanager
def _answers(url: str) -> Iterator[None]:
    """Turn whatever an fsspec file system raises into a `StoreError` that names the store."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:  # fsspec's file systems raise what their libraries raise
        raise StoreError(f"{url}: {error or type(error).__name__}") from error
