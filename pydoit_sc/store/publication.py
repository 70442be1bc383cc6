"""One attempt's publication on an object store: look at the run's key, claim it, upload, seal.

The first object is `run.json`, by conditional create: the manifest is also the claim, under the lease of now. What the
attempt has sent under one that has ended is cleared like that of a dead worker, unless it was sealed. All others are created
conditionally, too, so a worker that was frozen overwrites nothing of the worker that took its place. `status_code` is the
commit.

Where the key was empty, all answers say what the manifest says, and the lease has not ended meanwhile, all is there: who
clears a key moves only what was there when nobody had claimed it. Elsewhere there are two more looks. Before the commit
all that the manifest lists must be there as it says; after it the claim must still be ours. If not, what has been done
is undone, and it begins again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import md5

from pydoit_sc.store.base import Finished, Outcome, StoreError, answers
from pydoit_sc.store.blobs import Blob
from pydoit_sc.store.claims import Claims
from pydoit_sc.store.copying import regular_files
from pydoit_sc.store.documents import FileEntry, Manifest
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, stays
from pydoit_sc.store.manifest import describe, with_files
from pydoit_sc.store.stamps import read
from pydoit_sc.store.uploads import Uploads

_TRIES = 20  # to claim a key, each after another worker has done something to it
_AGAIN = 4  # times that a publication begins, since what it has sent is not there


@dataclass(frozen=True, slots=True)
class _Sent:
    """A local file, as it was when the manifest was made."""

    path: str
    entry: FileEntry
    state: tuple[int, int, int]

    def is_there(self, blob: Blob | None, *, shown: bool) -> bool:
        """Return whether an object has the file's size and, if listings show MD5s and this one does, its MD5."""
        if blob is None or blob.size != self.entry.size:
            return False
        return not (shown and blob.md5) or blob.md5 == self.entry.md5


class Publication:
    """Publishes an attempt."""

    def __init__(self, claims: Claims, attempt: Finished, uploads: Uploads) -> None:
        self._claims, self._blobs, self._attempt = claims, claims.blobs, attempt
        self._uploads = uploads
        self._alone = False  # the key was empty, and all that has been sent has arrived as it is listed
        self._files: Mapping[str, _Sent] = {}
        self._code = b""
        self.run_json = b""

    def publish(self) -> Outcome:
        """Return what came of it; raises StoreError, and what the store raises. It may be called again."""
        for _ in range(_AGAIN):
            self._describe()
            there = self._claim()
            if there is None:
                mine = self._claims.holder(self._attempt.key).attempt == self._attempt.attempt
                return Outcome.PUBLISHED if mine else Outcome.LOST
            if STATUS_CODE in there:  # an earlier try has sealed it, and was not told so
                if self._agrees(there):
                    return Outcome.PUBLISHED
                self._claims.delete(self._attempt.key, {STATUS_CODE})
            if self._upload_all(there) and (self._alone or self._is_whole()) and self._seal():
                return Outcome.PUBLISHED
        raise StoreError(
            f"{self._claims.url}/{self._attempt.key}: what was sent is not there, {_AGAIN} times; something else "
            "writes there, or the files of the run still change"
        )

    def _describe(self) -> None:
        """Make the manifest of what there is to send."""
        folder = self._attempt.folder
        with answers(folder):
            files = dict(regular_files(folder))
            self._code = _read_file(files.pop(STATUS_CODE))
            said = _read_file(files.pop(RUN_JSON))
            self._files = {
                name: _Sent(path, describe(path), _state(path)) for name, path in sorted(files.items())
            }
        self.run_json = with_files(
            said, {name: sent.entry for name, sent in self._files.items()}, self._claims.lease
        )

    def _claim(self) -> Mapping[str, Blob] | None:
        """Claim the run's key, after clearing it; return what is there of ours, None where an outcome stays."""
        key, attempt = self._attempt.key, self._attempt
        for n in range(_TRIES):
            files = self._claims.list(key)
            self._alone = self._blobs.is_atomic and not (n or files)
            if not files:
                with suppress(FileExistsError):
                    self._claims.insist(partial(self._blobs.create, f"{key}/{RUN_JSON}", self.run_json))
                    return files
            elif self._is_ours():  # of an earlier try, or a lost reply
                if not (self._shows_manifest(files[RUN_JSON]) or self._reads_manifest()):
                    self._claims.insist(partial(self._blobs.put, f"{key}/{RUN_JSON}", self.run_json))
                return files
            elif self._stays(files):
                return None
            else:
                with self._claims.clearing(key) as there:
                    self._clear(there)
        raise StoreError(
            f"{self._claims.url}/{key}: has changed {_TRIES} times while {attempt.attempt} waited for it"
        )

    def _stays(self, files: Mapping[str, Blob]) -> bool:
        """Return whether what is there stays: a completed outcome, or this attempt's own, sealed under an earlier lease."""
        attempt = self._attempt
        record = self._claims.record(attempt.key) if STATUS_CODE in files else None
        is_own = record is not None and record.attempt == attempt.attempt
        return is_own or stays(record, attempt.supersedes, attempt.fingerprint)

    def _clear(self, files: Mapping[str, Blob]) -> None:
        """Move what is there to the history, unless it stays."""
        if not self._stays(files):
            if STATUS_CODE not in files:
                self._end_uploads(files)
            self._claims.to_history(self._attempt.key, files)

    def _end_uploads(self, files: Mapping[str, Blob]) -> None:
        """Abort what a dead worker was sending in parts: no listing shows these, and they are paid for."""
        key = self._attempt.key
        with suppress(FileNotFoundError):
            manifest = read(Manifest, self._blobs.get(f"{key}/{RUN_JSON}"))
            for name, entry in ((manifest and manifest.files) or {}).items():
                if name not in files:
                    self._blobs.abort(f"{key}/{name}", entry.size)

    def _upload_all(self, there: Mapping[str, Blob]) -> bool:
        """Upload what is not there yet; return False where the run's key is not ours any more."""
        left = [
            name
            for name, sent in self._files.items()
            if not (name in there and there[name].md5 and sent.is_there(there[name], shown=True))
        ]
        arrived = self._uploads.each(self._upload, left)
        self._alone = self._alone and all(
            md5_ == self._files[name].entry.md5 for name, md5_ in zip(left, arrived, strict=True)
        )
        return None not in arrived

    def _upload(self, name: str) -> str | None:
        """Upload a file; return the MD5 that has arrived, "" where that is not known, None where the key is not ours."""
        target, path = f"{self._attempt.key}/{name}", self._files[name].path
        try:
            return self._claims.insist(partial(self._blobs.upload, path, target, new=True)).strip('"')
        except FileExistsError:  # ours, and the reply was lost; or of a worker whose lease has ended
            if not self._is_ours():
                return None
            self._claims.insist(partial(self._blobs.upload, path, target, new=False))
            return ""

    def _is_whole(self) -> bool:
        """Return whether all is there, and delete what else is: late, of a worker that was fenced."""
        there = self._claims.list(self._attempt.key)
        if not self._agrees(there):
            return False
        self._claims.delete(self._attempt.key, there.keys() - self._files.keys() - {RUN_JSON})
        return True

    def _agrees(self, there: Mapping[str, Blob]) -> bool:
        """Return whether objects are those of the manifest, and this itself, as far as a listing shows.

        Of what it does not show the files here must still be what was sent, and the manifest is read.
        """
        if RUN_JSON not in there:
            return False
        shown = self._shows_manifest(there[RUN_JSON])
        if not (shown or self._reads_manifest()):
            return False
        if not all(sent.is_there(there.get(name), shown=shown) for name, sent in self._files.items()):
            return False
        with answers(self._attempt.folder):
            hidden = [sent for name, sent in self._files.items() if not (shown and there[name].md5)]
            return all(_state(sent.path) == sent.state for sent in hidden)

    def _shows_manifest(self, blob: Blob) -> bool:
        """Return whether a listing shows that an object is the manifest as it is now.

        Where it is all the same, ETags are no MD5s.
        """
        return blob.md5 == md5(self.run_json, usedforsecurity=False).hexdigest()

    def _reads_manifest(self) -> bool:
        with suppress(FileNotFoundError):
            return self._blobs.get(f"{self._attempt.key}/{RUN_JSON}") == self.run_json
        return False

    def _seal(self) -> bool:
        """Write `status_code`, the commit; return False, and take it back, where the key is not ours any more."""
        path = f"{self._attempt.key}/{STATUS_CODE}"
        try:
            self._claims.insist(partial(self._commit, path))
        except FileExistsError:
            # Ours, and the reply was lost. Or late, of a worker whose lease has ended: all else here is ours.
            if not self._is_ours():
                return False
            if self._blobs.get(path) != self._code:
                self._claims.insist(partial(self._blobs.delete, [path]))
                return False
        if self._alone:
            self._claims.check()
            return True
        if self._is_ours():
            return True
        self._claims.insist(partial(self._blobs.delete, [path]))
        return False

    def _commit(self, path: str) -> None:
        """Create `status_code`; where its first try has failed it may have come, and all have been cleared since."""
        alone, self._alone = self._alone, False
        self._blobs.create(path, self._code)
        self._alone = alone

    def _is_ours(self) -> bool:
        return self._claims.holder(self._attempt.key) == (self._attempt.attempt, self._claims.lease)


def _state(path: str) -> tuple[int, int, int]:
    """Return what changes when a file is written."""
    stat = os.stat(path)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
