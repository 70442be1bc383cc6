"""The store on objects, or on any fsspec file system: files are uploaded under the run's key, `status_code` last.

What is told by a listing and by the index is not read. A publication is told in store/publication.py, whose a key is in
store/claims.py, and who is alive in store/leases.py. An outcome that is replaced, forgotten or removed is copied to the
history, then deleted, `status_code` first and `run.json` last, by one worker or command at a time. So a reader never
takes a mixture for a finished run.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice, repeat
from typing import BinaryIO

from pydoit_sc.batch import OURS
from pydoit_sc.errors import reason
from pydoit_sc.store.base import Contents, Finished, HeldError, Outcome, Staged, StoreError, Unread, answers
from pydoit_sc.store.blobs import Blob, Blobs, TooLargeError, ask_each, get_all
from pydoit_sc.store.claims import Claims, read_small, without_markers
from pydoit_sc.store.clearing import Clearing
from pydoit_sc.store.documents import Manifest
from pydoit_sc.store.folders import scratch_folder
from pydoit_sc.store.history import attempts_in, home_of
from pydoit_sc.store.index import FOLDER, IndexWriter, read_index, status_code_of
from pydoit_sc.store.layout import LARGEST_NOTE, RUN_JSON, STATUS_CODE, STDERR, STDOUT, Record
from pydoit_sc.store.leases import FencedError, Leases
from pydoit_sc.store.listing import list_each, list_whole, worth
from pydoit_sc.store.patience import Patience
from pydoit_sc.store.places import FILES, Beside, Fingerprints, Places, There, above, is_result, outer_keys
from pydoit_sc.store.publication import Publication
from pydoit_sc.store.stamps import Live, parse_record, read
from pydoit_sc.store.uploads import Uploads

FEWEST = 10  # up to so many are read one by one where somebody looks again and again
FEW = 100  # up to so many runs are read one by one; for more the whole store is listed, unless it has far more objects


class ObjectStore:
    """Outputs below a prefix."""

    takes_requests = True
    in_place = False
    window = 256

    def __init__(self, url: str, blobs: Blobs, patience: float = 0.0) -> None:
        self.url = url
        self._patience = Patience(patience)
        self.stagers = blobs.at_once
        self._blobs = blobs
        self._leases = Leases(blobs, url)
        self._clearing = Clearing(blobs, url)
        #: Outcomes of runs that are held, published since the first scan. It is changed in single steps, by two threads.
        self._seen: dict[str, Record] = {}
        self._index, self._uploads = IndexWriter(blobs), Uploads(blobs)

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        """Read one listing and the index, or the objects of each run where they are few."""
        self._leases.scanned()
        with self._answers():
            return _records(self._documents(set(keys)))

    def _documents(self, wanted: set[str]) -> dict[str, tuple[bytes, bytes | None]]:
        listed = self._list(wanted, FEW)
        return self._small_contents(*listed) if listed else read_small(self._blobs, wanted)

    def documents(
        self,
        keys: Iterable[str],
        unread: Unread | None = None,  # noqa: ARG002
    ) -> Iterator[tuple[str, bytes, bytes | None]]:
        """Read one listing and the index, or the objects of each run where they are few."""
        wanted = list(keys)
        with self._answers():
            found = self._documents(set(wanted))
        return ((key, *found.pop(key)) for key in wanted if key in found)

    def look(
        self, keys: Sequence[str], fingerprints: Fingerprints = None, beside: Beside | None = None
    ) -> Iterator[There | None]:
        """Scan; where the runs are few, those without an outcome are listed one by one."""
        self._leases.scanned()
        wanted = set(keys)
        places = Places(wanted, self._blobs.not_in_keys)
        with self._answers():
            if listed := self._list(wanted, FEW, places.see):
                found = self._small_contents(*listed)
                if beside:
                    beside.listed = places.beside(found)
            else:
                found = read_small(self._blobs, wanted)
                outer = (f"{key}/{STATUS_CODE}" for key in outer_keys(wanted))
                inner = (blob.path for blob in list_each(self._blobs, wanted - found.keys()))
                for path in (*get_all(self._blobs, outer), *inner):
                    places.see(path)
        for key, fingerprint in zip(keys, fingerprints or repeat(None), strict=False):
            one = places.of(key, parse_record(*found[key]) if key in found else None)
            yield one.told(fingerprint) if isinstance(one, Record) else one

    def beside(self, keys: Sequence[str]) -> Mapping[str, str]:
        with self._answers():
            told = ask_each(self._blobs, self._claims().strange, keys)
            return {key: what for key, what in zip(keys, told, strict=True) if what}

    def _list(
        self, keys: set[str], few: int, see: Callable[[str], None] | None = None
    ) -> tuple[dict[str, Blob], dict[str, Blob], list[Blob]] | None:
        """Return the `status_code` and the `run.json` of these runs, and the objects of the index.

        None where these runs are few, or few beside what the store has: they are best read one by one.
        """
        if len(keys) <= few:
            return None
        small = {STATUS_CODE: {}, RUN_JSON: {}}  # type: dict[str, dict[str, Blob]]
        index: list[Blob] = []
        most = worth(keys)
        for number, blob in enumerate(list_whole(self._blobs, keys)):
            if number == most:
                return None
            key, _, name = blob.path.rpartition("/")
            if name in FILES and key in keys:  # nothing strange; most are that
                if name in small:
                    small[name][key] = blob
                continue
            if key == FOLDER:
                index.append(blob)
            if see is not None:
                see(blob.path)
        return small[STATUS_CODE], small[RUN_JSON], index

    def glance(self, keys: Iterable[str]) -> dict[str, Record]:
        """Read one listing and the index; what these do not have of a run is when it was published, by the store's clock."""
        wanted = set(keys)
        with self._answers():
            listed = self._list(wanted, FEWEST)
            if listed is None:
                return _records(read_small(self._blobs, wanted))
            codes, run_jsons, index = listed
            known = read_index(self._blobs, index, {blob.md5 for blob in run_jsons.values()}) if codes else {}
            told = get_all(
                self._blobs, (blob.path for blob in codes.values() if not status_code_of(blob.md5))
            )
        records = {}
        for key, blob in codes.items():
            run_json = known.get(run_jsons[key].md5) if key in run_jsons else None
            record = parse_record(status_code_of(blob.md5) or told.get(blob.path, b""), run_json)
            records[key] = record if run_json else record._replace(ended=blob.modified or 0.0)
        return records

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

    def contents(self, keys: Iterable[str], unread: Unread | None = None) -> Iterator[tuple[str, Contents]]:  # noqa: ARG002
        with self._answers():
            ordered, index = list(keys), []
            wanted = set(ordered)
            files: dict[str, dict[str, Blob]] = defaultdict(dict)
            blobs = list_each(self._blobs, wanted)
            if len(wanted) > FEW:
                whole = [*islice(list_whole(self._blobs, wanted), worth(wanted) + 1)]
                blobs = iter(whole) if len(whole) <= worth(wanted) else blobs
            for blob in blobs:
                folder, _, _ = blob.path.rpartition("/")
                if folder == FOLDER:
                    index.append(blob)
                key = above(blob.path, wanted)
                if key is not None:
                    files[key][blob.path[len(key) + 1 :]] = blob
            small = self._small_contents(
                {key: names[STATUS_CODE] for key, names in files.items() if STATUS_CODE in names},
                {key: names[RUN_JSON] for key, names in files.items() if RUN_JSON in names},
                index,
            )
            for key in filter(small.__contains__, ordered):
                code, run_json = small[key]
                manifest = read(Manifest, run_json or b"")
                listed = (STDOUT, STDERR, STATUS_CODE, *((manifest and manifest.files) or ()))
                there = without_markers(self._blobs, self.url, files[key], listed)
                known = {name: (blob.size, blob.md5) for name, blob in there.items()}
                yield key, Contents(known, code, run_json)

    def hold(self, worker: str, keys: Sequence[str]) -> Mapping[str, int | StoreError]:  # noqa: ARG002
        with self._asking():
            self._leases.current()
            held = self._leases.hold(keys)
            if held.others:
                self._seen.update(_records(self._documents(set(keys) - held.taken.keys())))
        return {
            key: HeldError(held.taken[key]) if key in held.taken else held.deaths.get(key, 0) for key in keys
        }

    def release(self, key: str) -> None:
        self._seen.pop(key, None)
        self._leases.let_go(key)

    def peek(self, key: str) -> Record | None:
        if not self._leases.is_recent:
            raise self._away("the lease could not be renewed")
        if not self._leases.holds(key):
            raise HeldError(f"{self.url}: the lease under which it was held has been ended")
        if self._leases.is_suspect(key):
            with self._asking():
                self._leases.tell_start(key)
        return self._seen.get(key)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn an error that may pass into a HeldError, as long as the patience lasts."""
        try:
            yield
        except Exception as error:
            if self._may_pass(error):
                raise self._away(reason(error)) from error
            with self._answers():
                raise

    @contextmanager
    def workspace(self, worker: str, scratch: str | None) -> Iterator[str]:
        with ExitStack() as ours:
            with answers(scratch or tempfile.gettempdir()):
                folder = ours.enter_context(scratch_folder(scratch or tempfile.gettempdir(), worker))
            ours.enter_context(self._lease(worker))
            yield folder

    @contextmanager
    def _lease(self, worker: str) -> Iterator[None]:
        """Keep a worker's lease; an error in the body is not the store's."""
        with ExitStack() as held:
            with self._answers():
                self._patience.call(lambda: held.enter_context(self._leases.keep(worker)), self._may_pass)
            yield

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        return [self._stage(attempt) for attempt in attempts]

    def _stage(self, attempt: Finished) -> Staged | StoreError:
        try:
            with self._answers():
                if attempt.retried:
                    outcome = self._keep(attempt)
                else:
                    outcome = self._patience.call(partial(self._publish, attempt), self._may_pass)
        except StoreError as error:
            return error
        shutil.rmtree(attempt.folder, ignore_errors=True)
        return Staged(attempt, outcome=outcome)

    def _keep(self, attempt: Finished) -> Outcome:
        """Upload a retried attempt to the history."""
        claims, place = self._claims(), f"{home_of(attempt.key)}/{attempt.attempt}"
        for name in (STDOUT, STDERR, RUN_JSON, STATUS_CODE):
            path = f"{attempt.folder}/{name}"
            claims.insist(partial(self._blobs.upload, path, f"{place}/{name}", new=False))
        return Outcome.KEPT

    def commit(self, staged: Staged) -> Outcome:
        """Return what `stage` found: the upload of `status_code`, its last step, was the commit."""
        if not staged.attempt.retried:
            self.release(staged.attempt.key)
        assert staged.outcome is not None
        return staged.outcome

    def _away(self, why: str) -> StoreError:
        """Return why no run can start now, or any more: the store has not been reached for longer than the patience."""
        is_over = self._leases.away > self._patience.seconds
        return (StoreError if is_over else HeldError)(f"{self.url}: {why}")

    def _may_pass(self, error: Exception) -> bool:
        """Return whether a publication that has failed is to begin again, later or under another lease."""
        if isinstance(error, StoreError):
            return isinstance(error, FencedError)
        return self._blobs.may_pass(error)

    def _publish(self, attempt: Finished) -> Outcome:
        if self._patience.is_tried:  # one brief request before many
            self._leases.current()
            self._leases.renew()
        claims = self._claims()
        publication = Publication(claims, attempt, self._uploads)
        with self._uploads.publication():
            outcome = publication.publish()
        if outcome is Outcome.PUBLISHED:
            self._index.add(publication.run_json, claims.insist)
        return outcome

    def _claims(self) -> Claims:
        return Claims(self._blobs, self._leases, self.url, self._patience.has_ended)

    def _answers(self, *but: type[Exception]) -> AbstractContextManager[None]:
        return answers(self.url, Exception, but=but)  # each library has errors of its own

    def settle(self) -> None:
        """Complete the index; all else is in the store when `stage` returns."""
        if not self._patience.is_tried:
            self._index.complete(self._claims().insist)

    def hurry(self) -> None:
        self._patience.end()

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:  # noqa: ARG002
        self._leases.announce(live)

    def running(self) -> Mapping[str, Live]:
        with self._answers():
            return self._leases.running()

    def files(self, key: str) -> Mapping[str, int]:
        with self._answers():
            return {name: blob.size for name, blob in sorted(self._claims().list(key).items())}

    def open(self, key: str, file: str) -> BinaryIO:
        with self._answers(FileNotFoundError):
            return self._blobs.open(f"{key}/{file}")

    def tail(self, key: str, file: str, at_most: int) -> bytes:
        with self._answers(), suppress(FileNotFoundError):
            return self._blobs.tail(f"{key}/{file}", at_most)
        return b""

    def forget(self, key: str) -> bool:
        with self._answers():
            return self._clearing.forget(key)

    def remove(self, key: str) -> bool:
        with self._answers():
            return self._clearing.remove(key)

    @contextmanager
    def changing(self) -> Iterator[None]:
        with ExitStack() as shared:
            with self._answers():
                shared.enter_context(self._clearing.sharing())
            yield

    def former(self, key: str) -> Sequence[str]:
        home = home_of(key)
        with self._answers():
            paths = (blob.path[len(home) + 1 :] for blob in self._blobs.list(home))
            return [f"{home}/{name}" for name in attempts_in(paths)]

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with self._answers():
            paths = (blob.path.rpartition("/") for blob in list_whole(self._blobs, keys))
            outputs = {
                key
                for key, _, file in paths
                if (file == STATUS_CODE and not key.startswith(f"{OURS}/")) or (file in FILES and key in keys)
            }
        for key in sorted(outputs - keys):
            if above(key, outputs) is None and not is_result(key, keys):  # a result of this name is no output
                yield key

    def write_note(self, name: str, data: bytes) -> None:
        with self._answers():
            self._claims().insist(partial(self._blobs.put, f"{OURS}/{name}", data))

    def read_note(self, name: str) -> bytes:
        return self.read_note_and_owner(name)[0]

    def read_note_and_owner(self, name: str, at_most: int = LARGEST_NOTE) -> tuple[bytes, int | None]:
        with self._answers(FileNotFoundError):
            try:
                return self._blobs.get(f"{OURS}/{name}", at_most), None
            except TooLargeError as error:
                raise FileNotFoundError(errno.ENOENT, str(error)) from error

    def remove_note(self, name: str) -> None:
        with self._answers():
            self._claims().insist(partial(self._blobs.delete, [f"{OURS}/{name}"]))

    def notes(self, folder: str) -> Sequence[str]:
        with self._answers():
            return sorted(blob.path[len(OURS) + 1 :] for blob in self._blobs.list(f"{OURS}/{folder}"))


def _records(documents: Mapping[str, tuple[bytes, bytes | None]]) -> dict[str, Record]:
    return {key: parse_record(*small) for key, small in documents.items()}
