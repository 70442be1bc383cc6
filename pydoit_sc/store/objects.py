"""The store on any other fsspec file system: files are uploaded, `status_code` last.

A run whose outcome is replaced loses its `status_code` first, so a reader never takes a mixture for finished.
Between two workers that publish the same run at the same moment this order alone is no promise.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import fsspec

from pydoit_sc.batch import OURS
from pydoit_sc.store.base import Finished, Live, Outcome, Staged, StoreError
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, Record, parse_record


class ObjectStore:
    """Outputs below a prefix of an fsspec file system."""

    stagers = 8

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url.rstrip("/")
        # Never a cached listing: other workers write to the store at any moment.
        quiet = {"use_listings_cache": False, "skip_instance_cache": True, **options}
        self.fs, root = fsspec.core.url_to_fs(self.url, **quiet)
        self.root: str = root.rstrip("/")

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        with _answers(self.url):
            present = self._find(self.root)
            found = [key for key in keys if self._path(key, STATUS_CODE) in present]
            codes = self._read_all([self._path(key, STATUS_CODE) for key in found])
            runs = self._read_all([path for key in found if (path := self._path(key, RUN_JSON)) in present])
        return {
            key: parse_record(codes[path], runs.get(self._path(key, RUN_JSON)))
            for key in found
            if (path := self._path(key, STATUS_CODE)) in codes
        }

    def _find(self, path: str) -> dict[str, int]:
        try:
            found = self.fs.find(path, detail=True)
        except FileNotFoundError:
            return {}
        return {name: info["size"] or 0 for name, info in found.items()}

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

    def peek(self, key: str) -> Record | None:  # noqa: ARG002
        return None  # a request for each attempt is not cheap

    @contextmanager
    def workspace(self, worker: str, scratch: str | None) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix=f"pydoit-sc-{worker}-", dir=scratch) as folder:
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
        old = self._find(root)
        if self._path(attempt.key, STATUS_CODE) in old:
            there = self.scan([attempt.key]).get(attempt.key)
            if there and there.code == 0 and there.attempt != attempt.supersedes:
                shutil.rmtree(attempt.folder, ignore_errors=True)
                return Outcome.LOST
        self._remove_files(list(old))
        for folder, _, files in os.walk(attempt.folder):
            for file in files:
                path = os.path.join(folder, file)
                name = os.path.relpath(path, attempt.folder)
                if name != STATUS_CODE:
                    self._upload(path, f"{root}/{name}")
        self._upload(os.path.join(attempt.folder, STATUS_CODE), f"{root}/{STATUS_CODE}")
        shutil.rmtree(attempt.folder, ignore_errors=True)
        return Outcome.PUBLISHED

    def _upload(self, path: str, name: str) -> None:
        self.fs.makedirs(name.rpartition("/")[0], exist_ok=True)  # nothing on a store without folders
        self.fs.put_file(path, name)

    def settle(self) -> None:
        """Nothing is pending: `stage` returns when the store has answered."""

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:
        """Say nothing: a request for every change is too much to ask of a store."""

    def running(self) -> Mapping[str, Live]:
        return {}

    def files(self, key: str) -> Mapping[str, int]:
        root = self._path(key)
        with _answers(self.url):
            return {path[len(root) + 1 :]: size for path, size in sorted(self._find(root).items())}

    def open(self, key: str, file: str) -> BinaryIO:
        return cast(BinaryIO, self.fs.open(self._path(key, file), "rb"))

    def forget(self, key: str) -> bool:
        root = self._path(key)
        with _answers(self.url):
            there = list(self._find(root))
            record = self.scan([key]).get(key)
            name = (record and record.attempt) or "unknown"
            for path in there:
                self.fs.copy(path, f"{self.root}/{OURS}/history/{key}/{name}/{path[len(root) + 1 :]}")
            self._remove_files(there)
        return bool(there)

    def remove(self, key: str) -> bool:
        with _answers(self.url):
            there = list(self._find(self._path(key)))
            self._remove_files(there)
            self._remove_files(list(self._find(f"{self.root}/{OURS}/history/{key}")))
        return bool(there)

    def _remove_files(self, paths: list[str]) -> None:
        """Delete files, `status_code` first; one by one, since `rm` of a list reads names as patterns."""
        for path in sorted(paths, key=lambda path: not path.endswith(f"/{STATUS_CODE}")):
            self.fs.rm_file(path)

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with _answers(self.url):
            for path in self._find(self.root):
                key, _, file = path[len(self.root) + 1 :].rpartition("/")
                if file == STATUS_CODE and key not in keys and not key.startswith(f"{OURS}/"):
                    yield key

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
