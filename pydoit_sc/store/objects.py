"""The store on objects, or on any fsspec file system: files are uploaded under the run's key, `status_code` last.

The first object of a publication is `run.json`, by conditional create: the manifest is also the claim. While it is there without
a `status_code`, the run is its worker's as long as that worker's lease lasts (store/leases.py); then whoever comes next clears
what is there and begins anew. All other objects are created conditionally, too, so a worker that was frozen overwrites
nothing of the one that took its place, and it writes nothing at all once its lease is over.

An outcome that is replaced is copied to the history, then deleted, `status_code` first and `run.json` last, by one
worker at a time. So a reader never takes a mixture for finished.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from hashlib import blake2b
from typing import BinaryIO, TypeVar

from pydoit_sc.batch import OURS
from pydoit_sc.store.base import Contents, Finished, HeldError, Live, Outcome, Staged, StoreError
from pydoit_sc.store.blobs import Blob, Blobs, get_all
from pydoit_sc.store.folders import scratch_folder
from pydoit_sc.store.index import pack, status_code_of, unpack
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, Record, attempt_of, parse_record
from pydoit_sc.store.leases import Leases, wait_for
from pydoit_sc.store.manifest import with_files

INDEX_EVERY = 1000  # outcomes in one object of the index
FEW = 100  # runs that are asked for one by one, where a listing of the whole store would be longer
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between the tries of a request that is tried briefly
_FINAL = (FileExistsError, FileNotFoundError, PermissionError, StoreError)

T = TypeVar("T")


class ObjectStore:
    """Outputs below a prefix."""

    def __init__(self, url: str, blobs: Blobs) -> None:
        self.url = url
        self.stagers = min(8, blobs.at_once)
        self._blobs = blobs
        self._leases = Leases(blobs, url)
        self._published: deque[bytes] = deque()  # run.json of outcomes that no index has yet

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        """Answer from one listing and the index, or by asking for each run where they are few."""
        with _answers(self.url):
            wanted = set(keys)
            found = self._read_few(wanted) if len(wanted) <= FEW else self._read_listed(wanted)
        return {key: parse_record(code, run_json) for key, (code, run_json) in found.items()}

    def _read_few(self, keys: set[str]) -> dict[str, tuple[bytes, bytes | None]]:
        codes = get_all(self._blobs, (f"{key}/{STATUS_CODE}" for key in keys))
        found = {path.rpartition("/")[0]: code for path, code in codes.items()}
        run_jsons = get_all(self._blobs, (f"{key}/{RUN_JSON}" for key in found))
        return {key: (code, run_jsons.get(f"{key}/{RUN_JSON}")) for key, code in found.items()}

    def _read_listed(self, keys: set[str]) -> dict[str, tuple[bytes, bytes | None]]:
        small = {STATUS_CODE: {}, RUN_JSON: {}}  # type: dict[str, dict[str, Blob]]
        index: list[str] = []
        for blob in self._blobs.list(""):
            key, _, name = blob.path.rpartition("/")
            if name in small and key in keys:
                small[name][key] = blob
            elif key == f"{OURS}/index":
                index.append(blob.path)
        return self._small_contents(small[STATUS_CODE], small[RUN_JSON], index)

    def _small_contents(
        self, codes: Mapping[str, Blob], run_jsons: Mapping[str, Blob], index: list[str]
    ) -> dict[str, tuple[bytes, bytes | None]]:
        """Return what the two small files of each run hold; what neither ETag nor index tells is read."""
        known = self._read_index(index) if codes else {}
        told: dict[str, bytes] = {}
        unknown: list[str] = []
        for blob in (*codes.values(), *(run_jsons[key] for key in codes if key in run_jsons)):
            content = status_code_of(blob.md5) or known.get(blob.md5)
            if content is None:
                unknown.append(blob.path)
            else:
                told[blob.path] = content
        told.update(get_all(self._blobs, unknown))
        return {
            key: (told[blob.path], told.get(f"{key}/{RUN_JSON}"))
            for key, blob in codes.items()
            if blob.path in told
        }

    def _read_index(self, paths: list[str]) -> dict[str, bytes]:
        """Return the contents that the index has, by their MD5."""
        known: dict[str, bytes] = {}
        for data in get_all(self._blobs, paths).values():
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
        path = f"{OURS}/index/{uuid.uuid4().hex}"
        self._insist(partial(self._blobs.put, path, pack(contents)))

    def contents(self, keys: Iterable[str]) -> Iterator[tuple[str, Contents]]:
        with _answers(self.url):
            wanted, index = set(keys), []
            files: dict[str, dict[str, Blob]] = defaultdict(dict)
            for blob in self._blobs.list(""):
                above, _, _ = blob.path.rpartition("/")
                if above == f"{OURS}/index":
                    index.append(blob.path)
                key = _above(blob.path, wanted)
                if key is not None:
                    files[key][blob.path[len(key) + 1 :]] = blob
            small = self._small_contents(
                {key: names[STATUS_CODE] for key, names in files.items() if STATUS_CODE in names},
                {key: names[RUN_JSON] for key, names in files.items() if RUN_JSON in names},
                index,
            )
            for key, (code, run_json) in small.items():
                known = {name: (blob.size, blob.md5) for name, blob in files[key].items()}
                yield key, Contents(known, code, run_json)

    def peek(self, key: str) -> Record | None:  # noqa: ARG002
        """Ask nothing of the run, which is a request; but a worker whose lease was ended starts no more runs."""
        with _answers(self.url):
            self._leases.check()
        return None

    @contextmanager
    def workspace(self, worker: str, scratch: str | None, chunk: str = "") -> Iterator[str]:
        with ExitStack() as ours:
            with _answers(scratch or tempfile.gettempdir()):
                folder = ours.enter_context(scratch_folder(scratch or tempfile.gettempdir(), worker))
            ours.enter_context(self._lease(worker, chunk))
            yield folder

    @contextmanager
    def _lease(self, worker: str, chunk: str) -> Iterator[None]:
        """Keep a worker's lease and hold its chunk; an error from within is none of the store's."""
        with ExitStack() as held:
            with _answers(self.url):
                held.enter_context(self._leases.keep(worker))
                if chunk:
                    self._leases.take(f"chunks/{chunk}")
                    held.callback(self._leases.release, f"chunks/{chunk}")
            yield

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        return [self._stage(attempt) for attempt in attempts]

    def _stage(self, attempt: Finished) -> Staged | StoreError:
        try:
            with _answers(self.url):
                outcome = self._publish(attempt)
        except StoreError as error:
            return error
        shutil.rmtree(attempt.folder, ignore_errors=True)
        return Staged(attempt, outcome=outcome)

    def commit(self, staged: Staged) -> Outcome:
        """Return what `stage` found: the upload of `status_code`, its last step, was the commit."""
        assert staged.outcome is not None
        return staged.outcome

    def _publish(self, attempt: Finished) -> Outcome:
        files = dict(_files(attempt.folder))
        code = _read_file(files.pop(STATUS_CODE))
        run_json = with_files(_read_file(files.pop(RUN_JSON)), files)
        if not self._claim(attempt, run_json):
            return Outcome.LOST
        for name, path in files.items():
            if not self._upload(attempt, path, name):
                return Outcome.LOST
        if not self._seal(attempt, code):
            return Outcome.LOST
        self._published.append(run_json)
        self._write_index(INDEX_EVERY)
        return Outcome.PUBLISHED

    def _claim(self, attempt: Finished, run_json: bytes) -> bool:
        """Make the run's key this attempt's, after clearing what is there; False where a completed outcome stays."""
        while True:
            files = self._list(attempt.key)
            if not files:
                with suppress(FileExistsError):
                    self._insist(lambda: self._blobs.create(f"{attempt.key}/{RUN_JSON}", run_json))
                    return True
            elif STATUS_CODE not in files and self._is_ours(attempt):
                return True  # the answer to our own claim was lost
            elif self._stays(attempt, files):
                return False
            else:
                wait_for(lambda: self._check_free(attempt))
                with self._leases.hold(f"replacing/{_digest(attempt.key)}"):
                    self._clear(attempt)

    def _stays(self, attempt: Finished, files: Mapping[str, Blob]) -> bool:
        """Say whether what is there stays: completed, and not what the plan set out to replace."""
        if STATUS_CODE not in files:
            return False
        record = self._record(attempt.key)
        return record is not None and record.code == 0 and record.attempt != attempt.supersedes

    def _check_free(self, attempt: Finished) -> None:
        """Raise HeldError while another worker, which may be alive, is publishing the run."""
        files = self._list(attempt.key)
        if STATUS_CODE in files or RUN_JSON not in files:
            return
        worker = self._holder(attempt.key).partition("-")[0]
        if worker and worker != attempt.attempt.partition("-")[0]:
            alive = self._leases.is_alive(worker)
            if alive:
                raise HeldError(f"{self.url}: {attempt.key} is being published by {alive}")

    def _clear(self, attempt: Finished) -> None:
        """Move what is there to the history, unless it is to stay or another worker has just begun anew."""
        files = self._list(attempt.key)
        with suppress(HeldError):
            self._check_free(attempt)
            if not self._stays(attempt, files):
                self._to_history(attempt.key, files)

    def _upload(self, attempt: Finished, path: str, name: str) -> bool:
        """Upload a file; False where the run's key is not ours any more."""
        target = f"{attempt.key}/{name}"
        try:
            self._insist(partial(self._blobs.upload, path, target, new=True))
        except FileExistsError:  # ours, and its answer was lost; or of a worker that has been ended meanwhile
            if not self._is_ours(attempt):
                return False
            self._insist(partial(self._blobs.upload, path, target, new=False))
        return True

    def _seal(self, attempt: Finished, code: bytes) -> bool:
        """Write `status_code`, the commit; False where the run's key is not ours any more."""
        path = f"{attempt.key}/{STATUS_CODE}"
        while True:
            try:
                self._insist(lambda: self._blobs.create(path, code))
                return True
            except FileExistsError:
                if not self._is_ours(attempt):
                    return False
            with suppress(FileNotFoundError):
                # Ours, and its answer was lost. Or late, of a worker that has been ended: all else here is ours.
                if self._blobs.get(path) == code:
                    return True
                self._insist(partial(self._blobs.delete, [path]))

    def _is_ours(self, attempt: Finished) -> bool:
        return self._holder(attempt.key) == attempt.attempt

    def _holder(self, key: str) -> str:
        """Return the attempt that a run's `run.json` is of; "" where it does not say."""
        try:
            return attempt_of(self._blobs.get(f"{key}/{RUN_JSON}"))
        except FileNotFoundError:
            return ""

    def _insist(self, call: Callable[[], T]) -> T:
        """Try a brief request again, as long as the worker's lease lasts."""
        for pause in _PAUSES:
            self._leases.check()
            try:
                return call()
            except _FINAL:
                raise
            except Exception:  # what its library raises
                time.sleep(pause * random.uniform(0.5, 1.5))
        self._leases.check()
        return call()

    def settle(self) -> None:
        """Complete the index; nothing else is pending, since `stage` returns when the store has answered."""
        with _answers(self.url):
            self._write_index(1)

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:  # noqa: ARG002
        self._leases.announce(live)

    def running(self) -> Mapping[str, Live]:
        with _answers(self.url):
            return self._leases.running()

    def files(self, key: str) -> Mapping[str, int]:
        with _answers(self.url):
            return {name: blob.size for name, blob in sorted(self._list(key).items())}

    def open(self, key: str, file: str) -> BinaryIO:
        try:
            with _answers(self.url):
                return self._blobs.open(f"{key}/{file}")
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise error.__cause__ from error
            raise

    def forget(self, key: str) -> bool:
        with _answers(self.url):
            there = self._list(key)
            self._to_history(key, there)
        return bool(there)

    def _record(self, key: str) -> Record | None:
        found = self._read_few({key}).get(key)
        return parse_record(*found) if found else None

    def _list(self, key: str) -> dict[str, Blob]:
        """Return the objects of a run, by path below its key."""
        return {blob.path[len(key) + 1 :]: blob for blob in self._blobs.list(key)}

    def _to_history(self, key: str, files: Iterable[str]) -> None:
        """Move a run's objects there, into a folder named after their attempt."""
        names = list(files)
        home = f"{OURS}/history/{key}/{self._holder(key) or 'unknown'}"
        place, n = home, 0
        while names and any(True for _ in self._blobs.list(place)):
            n += 1
            place = f"{home}.{n}"
        for name in names:
            with suppress(FileNotFoundError):  # whoever was here before was killed while it did the same
                self._insist(partial(self._blobs.copy, f"{key}/{name}", f"{place}/{name}"))
        self._delete(key, names)

    def remove(self, key: str) -> bool:
        with _answers(self.url):
            there = self._list(key)
            self._delete(key, there)
            history = f"{OURS}/history/{key}"
            self._delete(history, self._list(history))
        return bool(there)

    def _delete(self, key: str, names: Iterable[str]) -> None:
        """Delete a run's objects: `status_code` first, and what holds the key last."""
        rest = set(names)
        for part in ({STATUS_CODE}, rest - {STATUS_CODE, RUN_JSON}, {RUN_JSON}):
            paths = [f"{key}/{name}" for name in sorted(part & rest)]
            if paths:
                self._insist(partial(self._blobs.delete, paths))

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with _answers(self.url):
            paths = (blob.path.rpartition("/") for blob in self._blobs.list(""))
            outputs = {
                key for key, _, file in paths if file == STATUS_CODE and not key.startswith(f"{OURS}/")
            }
        for key in sorted(outputs - keys):  # a file of this name among a run's results makes no output
            if _above(key, outputs | keys) is None:
                yield key

    def write_note(self, name: str, data: bytes) -> None:
        with _answers(self.url):
            self._insist(partial(self._blobs.put, f"{OURS}/{name}", data))

    def read_note(self, name: str) -> bytes:
        try:
            with _answers(self.url):
                return self._blobs.get(f"{OURS}/{name}")
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise error.__cause__ from error
            raise

    def notes(self, folder: str) -> Sequence[str]:
        with _answers(self.url):
            return sorted(blob.path[len(OURS) + 1 :] for blob in self._blobs.list(f"{OURS}/{folder}"))


def _above(path: str, keys: set[str]) -> str | None:
    """Return the key that a path lies below."""
    end = path.find("/")
    while end != -1:
        if path[:end] in keys:
            return path[:end]
        end = path.find("/", end + 1)
    return None


def _digest(key: str) -> str:
    """Return a name of one segment for a key."""
    return blake2b(key.encode(), digest_size=16).hexdigest()


def _files(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the files of an attempt, by path below its folder; a pipe or a socket is no result."""
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, folder), path


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@contextmanager
def _answers(url: str) -> Iterator[None]:
    """Turn whatever a library raises into a `StoreError` that names the store."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:  # each library has its own
        said = str(error).partition("\n\nDebug source")[0].strip()  # obstore adds its own insides
        raise StoreError(f"{url}: {said or type(error).__name__}") from error
