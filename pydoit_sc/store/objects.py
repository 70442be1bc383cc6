"""The store on objects, or on any fsspec file system: files are uploaded under the run's key, `status_code` last.

The first object of a publication is `run.json`, by conditional create: the manifest is also the claim. While it is
there without a `status_code`, the run belongs to its worker as long as that worker's lease lasts (store/leases.py);
then the next worker clears what is there and begins again. All other objects are created conditionally, too, so a
worker that was frozen overwrites nothing of the worker that took its place, and it writes nothing at all once its lease
has ended.

An outcome that is replaced is copied to the history, then deleted, `status_code` first and `run.json` last, by one
worker at a time. So a reader never takes a mixture for a finished run.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydoit_sc.batch import OURS
from pydoit_sc.retries import pauses, retry
from pydoit_sc.store.base import Contents, Finished, HeldError, Outcome, Staged, StoreError, answers
from pydoit_sc.store.blobs import Blob, Blobs, get_all, list_all
from pydoit_sc.store.copying import regular_files
from pydoit_sc.store.folders import scratch_folder
from pydoit_sc.store.index import pack, read_index, status_code_of
from pydoit_sc.store.layout import LARGEST_NOTE, RUN_JSON, STATUS_CODE, Record, stays
from pydoit_sc.store.leases import Leases, wait_for
from pydoit_sc.store.manifest import with_files
from pydoit_sc.store.places import Places, Survey, above, check_ours, old_attempts, outer_keys
from pydoit_sc.store.stamps import Live, attempt_of, parse_record

INDEX_EVERY = 1000  # outcomes in one object of the index
FEW = 100  # up to so many runs are read one by one; for more, one listing of the whole store is faster
_TRIES, _PAUSE = 6, 0.25  # of a brief request that writes; seconds before the second
_FINAL = (FileExistsError, FileNotFoundError, PermissionError, StoreError)

T = TypeVar("T")


class ObjectStore:
    """Outputs below a prefix."""

    def __init__(self, url: str, blobs: Blobs) -> None:
        self.url, self.in_place = url, False
        self.stagers = min(8, blobs.at_once)
        self._blobs = blobs
        self._leases = Leases(blobs, url)
        self._published: deque[bytes] = deque()  # run.json of outcomes that no index has yet

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        """Read one listing and the index, or the objects of each run where they are few."""
        with self._answers():
            wanted = set(keys)
            found = self._read_few(wanted) if len(wanted) <= FEW else self._read_listed(wanted)
        return {key: parse_record(code, run_json) for key, (code, run_json) in found.items()}

    def survey(self, keys: Iterable[str]) -> Survey:
        """Scan; where the runs are few, those without an outcome are listed one by one."""
        wanted = set(keys)
        places = Places(wanted)
        with self._answers():
            if len(wanted) > FEW:
                found = self._read_listed(wanted, places.see)
            else:
                found = self._read_few(wanted)
                outer = (f"{key}/{STATUS_CODE}" for key in outer_keys(wanted))
                for path in (*get_all(self._blobs, outer), *list_all(self._blobs, wanted - found.keys())):
                    places.see(path)
        records = {key: parse_record(*small) for key, small in found.items()}
        return Survey(records, places.taken(records))

    def _read_few(self, keys: set[str]) -> dict[str, tuple[bytes, bytes | None]]:
        codes = get_all(self._blobs, (f"{key}/{STATUS_CODE}" for key in keys))
        found = {path.rpartition("/")[0]: code for path, code in codes.items()}
        run_jsons = get_all(self._blobs, (f"{key}/{RUN_JSON}" for key in found))
        return {key: (code, run_jsons.get(f"{key}/{RUN_JSON}")) for key, code in found.items()}

    def _read_listed(
        self, keys: set[str], see: Callable[[str], None] | None = None
    ) -> dict[str, tuple[bytes, bytes | None]]:
        small = {STATUS_CODE: {}, RUN_JSON: {}}  # type: dict[str, dict[str, Blob]]
        index: list[Blob] = []
        for blob in self._blobs.list(""):
            key, _, name = blob.path.rpartition("/")
            if name in small and key in keys:
                small[name][key] = blob
            elif key == f"{OURS}/index":
                index.append(blob)
            if see is not None:
                see(blob.path)
        return self._small_contents(small[STATUS_CODE], small[RUN_JSON], index)

    def _small_contents(
        self, codes: Mapping[str, Blob], run_jsons: Mapping[str, Blob], index: Sequence[Blob]
    ) -> dict[str, tuple[bytes, bytes | None]]:
        """Return what the two small files of each run hold; those that ETag and index do not tell are read."""
        wanted = {blob.md5 for blob in run_jsons.values()}
        known = read_index(self._blobs, index, wanted) if codes else {}
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

    def _write_index(self, at_least: int) -> None:
        """Add the outcomes published since the last time to the index, if there are at least so many."""
        if len(self._published) < at_least:
            return
        contents = []
        with suppress(IndexError):  # empty; other threads take from it, too
            while True:
                contents.append(self._published.popleft())
        path = f"{OURS}/index/{uuid.uuid4().hex}"
        self._insist(partial(self._blobs.put, path, pack(contents)))

    def contents(self, keys: Iterable[str]) -> Iterator[tuple[str, Contents]]:
        with self._answers():
            wanted, index = set(keys), []
            files: dict[str, dict[str, Blob]] = defaultdict(dict)
            for blob in self._blobs.list(""):
                folder, _, _ = blob.path.rpartition("/")
                if folder == f"{OURS}/index":
                    index.append(blob)
                key = above(blob.path, wanted)
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
        """Check the worker's lease, without which it starts no more runs; the run itself would cost a request."""
        with self._answers():
            self._leases.check()
        return None

    @contextmanager
    def workspace(self, worker: str, scratch: str | None, chunk: str = "") -> Iterator[str]:
        with ExitStack() as ours:
            with answers(scratch or tempfile.gettempdir()):
                folder = ours.enter_context(scratch_folder(scratch or tempfile.gettempdir(), worker))
            ours.enter_context(self._lease(worker, chunk))
            yield folder

    @contextmanager
    def _lease(self, worker: str, chunk: str) -> Iterator[None]:
        """Keep a worker's lease and hold its chunk; an error in the body is not the store's."""
        with ExitStack() as held:
            with self._answers():
                held.enter_context(self._leases.keep(worker))
                if chunk:
                    self._leases.take(f"chunks/{chunk}")
                    held.callback(self._leases.release, f"chunks/{chunk}")
            yield

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        return [self._stage(attempt) for attempt in attempts]

    def _stage(self, attempt: Finished) -> Staged | StoreError:
        try:
            with self._answers():
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
        files = dict(regular_files(attempt.folder))
        code = Path(files.pop(STATUS_CODE)).read_bytes()
        run_json = with_files(Path(files.pop(RUN_JSON)).read_bytes(), files)
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
        """Claim the run's key for an attempt, after clearing it; return False where a completed outcome stays."""
        while True:
            files = self._list(attempt.key)
            if not files:
                with suppress(FileExistsError):
                    self._insist(lambda: self._blobs.create(f"{attempt.key}/{RUN_JSON}", run_json))
                    return True
            elif STATUS_CODE not in files and self._is_ours(attempt):
                return True  # the reply to our own claim was lost
            elif self._stays(attempt, files):
                return False
            else:
                wait_for(lambda: self._check_free(attempt))
                with self._leases.hold(f"replacing/{_digest(attempt.key)}"):
                    self._clear(attempt)

    def _stays(self, attempt: Finished, files: Mapping[str, Blob]) -> bool:
        """Return whether what is there stays, and the new attempt is dropped."""
        record = self._record(attempt.key) if STATUS_CODE in files else None
        return stays(record, attempt.supersedes, attempt.fingerprint)

    def _check_free(self, attempt: Finished) -> None:
        """Raise HeldError while another worker that may be alive is publishing the run."""
        files = self._list(attempt.key)
        if STATUS_CODE in files or RUN_JSON not in files:
            return
        worker = self._holder(attempt.key).partition("-")[0]
        if worker and worker != attempt.attempt.partition("-")[0]:
            alive = self._leases.is_alive(worker)
            if alive:
                raise HeldError(f"{self.url}: {attempt.key} is being published by {alive}")

    def _clear(self, attempt: Finished) -> None:
        """Move what is there to the history, unless it stays or another worker has just claimed the key."""
        files = self._list(attempt.key)
        with suppress(HeldError):
            self._check_free(attempt)
            if not self._stays(attempt, files):
                self._to_history(attempt.key, files)

    def _upload(self, attempt: Finished, path: str, name: str) -> bool:
        """Upload a file; return False where the run's key is not ours any more."""
        target = f"{attempt.key}/{name}"
        try:
            self._insist(partial(self._blobs.upload, path, target, new=True))
        except FileExistsError:  # ours, and the reply was lost; or of a worker whose lease has ended
            if not self._is_ours(attempt):
                return False
            self._insist(partial(self._blobs.upload, path, target, new=False))
        return True

    def _seal(self, attempt: Finished, code: bytes) -> bool:
        """Write `status_code`, the commit; return False where the run's key is not ours any more."""
        path = f"{attempt.key}/{STATUS_CODE}"
        while True:
            try:
                self._insist(lambda: self._blobs.create(path, code))
                return True
            except FileExistsError:
                if not self._is_ours(attempt):
                    return False
            with suppress(FileNotFoundError):
                # Ours, and the reply was lost. Or late, of a worker whose lease has ended: all else here is ours.
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
        """Make a brief request that writes; try it again as long as the worker's lease lasts."""
        waits = pauses(_TRIES - 1, _PAUSE)
        return retry(call, waits, when=lambda error: not isinstance(error, _FINAL), before=self._leases.check)

    def _answers(self, *but: type[Exception]) -> AbstractContextManager[None]:
        return answers(self.url, Exception, but=but)  # each library has errors of its own

    def settle(self) -> None:
        """Complete the index; all else is in the store when `stage` returns."""
        with self._answers():
            self._write_index(1)

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:  # noqa: ARG002
        self._leases.announce(live)

    def running(self) -> Mapping[str, Live]:
        with self._answers():
            return self._leases.running()

    def files(self, key: str) -> Mapping[str, int]:
        with self._answers():
            return {name: blob.size for name, blob in sorted(self._list(key).items())}

    def open(self, key: str, file: str) -> BinaryIO:
        with self._answers(FileNotFoundError):
            return self._blobs.open(f"{key}/{file}")

    def forget(self, key: str) -> bool:
        with self._answers():
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
        self._check_ours(key, names)
        home = f"{OURS}/history/{key}/{self._holder(key) or 'unknown'}"
        place, n = home, 0
        while names and any(True for _ in self._blobs.list(place)):
            n += 1
            place = f"{home}.{n}"
        for name in names:
            with suppress(FileNotFoundError):  # a worker was killed while it moved them
                self._insist(partial(self._blobs.copy, f"{key}/{name}", f"{place}/{name}"))
        self._delete(key, names)

    def remove(self, key: str) -> bool:
        with self._answers():
            there = self._list(key)
            self._check_ours(key, there)
            self._delete(key, there)
            history = f"{OURS}/history/{key}"
            names = self._list(history)
            attempts = old_attempts(names)  # others are of runs whose keys lie below this one
            self._delete(history, (name for name in names if name.partition("/")[0] in attempts))
        return bool(there)

    def _check_ours(self, key: str, files: Iterable[str]) -> None:
        """Raise TakenError if a run's objects are no output of a run."""
        names = {name.partition("/")[0] for name in files}
        check_ours(f"{self.url}/{key}", names, lambda: self._blobs.get(f"{key}/{RUN_JSON}"))

    def _delete(self, key: str, names: Iterable[str]) -> None:
        """Delete a run's objects: `status_code` first, `run.json`, which holds the key, last."""
        rest = set(names)
        for part in ({STATUS_CODE}, rest - {STATUS_CODE, RUN_JSON}, {RUN_JSON}):
            if paths := [f"{key}/{name}" for name in sorted(part & rest)]:
                self._insist(partial(self._blobs.delete, paths))

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with self._answers():
            paths = (blob.path.rpartition("/") for blob in self._blobs.list(""))
            outputs = {
                key for key, _, file in paths if file == STATUS_CODE and not key.startswith(f"{OURS}/")
            }
        for key in sorted(outputs - keys):  # a result of this name is no output
            if above(key, outputs | keys) is None:
                yield key

    def write_note(self, name: str, data: bytes) -> None:
        with self._answers():
            self._insist(partial(self._blobs.put, f"{OURS}/{name}", data))

    def read_note(self, name: str) -> bytes:
        with self._answers(FileNotFoundError):
            return self._blobs.get(f"{OURS}/{name}", LARGEST_NOTE)

    def read_note_and_owner(self, name: str) -> tuple[bytes, int | None]:
        return self.read_note(name), None

    def notes(self, folder: str) -> Sequence[str]:
        with self._answers():
            return sorted(blob.path[len(OURS) + 1 :] for blob in self._blobs.list(f"{OURS}/{folder}"))


def _digest(key: str) -> str:
    """Return a name of one segment for a key."""
    return blake2b(key.encode(), digest_size=16).hexdigest()
