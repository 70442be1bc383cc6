"""The store on a POSIX file system (local, NFS): a run is published by one rename of its whole folder.

An attempt is written below `.pydoit_sc/attempts/`, on the same file system, and is complete, `status_code`
included, before one rename makes it the run's folder. So a run's folder is always whole and of one attempt.

If the run's folder exists already, the rename fails, and the two are compared: a completed outcome of the same command
that the plan did not know of stays, and the new attempt is dropped; anything else (a failed run, the outcome of another
command, the one that the plan decided to replace, a folder that lost its `status_code`) is replaced: see replacing.py.

A group of attempts waits for one `syncfs` before its renames, so data is on the disk before the name is.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cache, partial
from typing import BinaryIO, TypeVar

from pydoit_sc.batch import OURS
from pydoit_sc.files import make_folders, write_whole
from pydoit_sc.store import history
from pydoit_sc.store.base import (
    LASTING,
    Contents,
    Finished,
    HeldError,
    Outcome,
    Staged,
    StoreError,
    TakenError,
    Unread,
    UnreadableError,
    answers,
    words_of,
)
from pydoit_sc.store.copying import copy_tree, discard, size_of
from pydoit_sc.store.digests import add_digests
from pydoit_sc.store.disk import Disk
from pydoit_sc.store.folders import attempts_folder, attempts_of, is_alive, is_there, scratch_folder
from pydoit_sc.store.holds import Holds
from pydoit_sc.store.layout import LARGEST_NOTE, RESULTS, STATUS_CODE, Record
from pydoit_sc.store.looking import look, read_each
from pydoit_sc.store.notes import names_of_notes, read_owned
from pydoit_sc.store.places import FILES, Beside, Fingerprints, Taken, There, strange
from pydoit_sc.store.reading import (
    ABSENT,
    open_inside,
    read_contents,
    read_documents,
    read_end,
    read_file,
    read_record,
    walk,
    warn_closed,
)
from pydoit_sc.store.replacing import Replacer, stays_in
from pydoit_sc.store.stamps import Live, read_running, write_running
from pydoit_sc.store.ways import check_way, closed

T = TypeVar("T")

_RUNNING = "running.json"  # in a worker's folder: what it is executing
_TRIES = 100  # to publish where others publish, replace or remove at the same moment


class PosixStore:
    """Outputs below a folder of a POSIX file system."""

    takes_requests = False
    in_place = True
    window = 1
    stagers = 1

    def __init__(self, root: str, *, durable: bool = True) -> None:
        self.root = root.rstrip("/") or "/"
        self.url = f"file://{self.root}"
        self.durable = durable
        self._answers = answers(self.root)
        self._disk = Disk(self.root)
        self._replacer = Replacer(self.root)
        self._holds = Holds(f"{self.root}/{OURS}/holds", f"{self.root}/{OURS}/attempts")

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        wanted = list(keys)
        with self._answers:
            found = zip(wanted, read_each(self.root, wanted), strict=True)
            told = (
                (key, Record(None, reason=one.words) if isinstance(one, Taken) else one) for key, one in found
            )
            return {key: record for key, record in told if isinstance(record, Record)}

    def glance(self, keys: Iterable[str]) -> dict[str, Record]:
        return self.scan(keys)

    def look(
        self,
        keys: Sequence[str],
        fingerprints: Fingerprints = None,
        beside: Beside | None = None,  # noqa: ARG002 - nothing is listed
    ) -> Iterator[There | None]:
        with self._answers:
            yield from look(self.root, keys, fingerprints)

    def beside(self, keys: Sequence[str]) -> Mapping[str, str]:
        is_closed = cache(partial(closed, self.root))  # of folders that many runs share
        with self._answers:
            told = ((key, strange(self._path(key)) or self._closed(key, is_closed)) for key in keys)
            return {key: what for key, what in told if what}

    def _closed(self, key: str, is_closed: Callable[[str], str]) -> str:
        """Return why this user cannot replace an outcome, which is moved to the history, in words; "" where it can."""
        if what := is_closed(os.path.dirname(key)):
            return what
        for place in (key, history.home_of(key)):
            path = self._path(place)
            if not os.access(path, os.W_OK | os.X_OK):
                exists = os.path.lexists(path)
                if what := is_closed(place if exists else os.path.dirname(place)):
                    return what
        return ""

    def _for_good(self, key: str, error: OSError) -> Exception:
        """Return an error of moving an outcome; one that lasts is its run's own matter, a TakenError."""
        if error.errno not in (*LASTING, errno.ENOTDIR):  # a file in the place of a folder
            return error
        why = self._closed(key, partial(closed, self.root)) or words_of(error, self.root)
        return TakenError(f"{why}, and it stays as it is")

    def peek(self, key: str) -> Record | None:
        path = self._path(key)
        # As a rule there is nothing; what is wrong with the file system, the commit will find.
        if not os.access(path, os.F_OK):
            return None
        with self._answers:
            return read_record(path)

    def documents(
        self, keys: Iterable[str], unread: Unread | None = None
    ) -> Iterator[tuple[str, bytes, bytes | None]]:
        return ((key, *small) for key, small in self._each(keys, read_documents, unread))

    def contents(self, keys: Iterable[str], unread: Unread | None = None) -> Iterator[tuple[str, Contents]]:
        return self._each(keys, read_contents, unread)

    def _each(
        self, keys: Iterable[str], read: Callable[[str], T | None], unread: Unread | None
    ) -> Iterator[tuple[str, T]]:
        for key in keys:
            try:
                with answers(self._path(key)):
                    found = read(self._path(key))
            except UnreadableError as error:
                if unread is None:
                    raise
                unread(key, str(error))
                continue
            if found:
                yield key, found

    @contextmanager
    def workspace(self, worker: str, scratch: str | None) -> Iterator[str]:
        with ExitStack() as ours:
            with self._answers:
                own = ours.enter_context(attempts_folder(self._make_own("attempts"), worker))
                self._make_own("holds")
                ours.callback(self._holds.release_all)
                self._disk.watch()
            if scratch is not None:
                with answers(scratch):
                    own = ours.enter_context(scratch_folder(scratch, worker))
            yield own

    def _make_own(self, name: str) -> str:
        """Make a folder of ours and return its path; raises StoreError where it is a link to somewhere else."""
        folder = f"{self.root}/{OURS}/{name}"
        make_folders(self.root)
        for path in (os.path.dirname(folder), folder):
            if os.path.islink(path):
                raise StoreError(f"{path}: is a symbolic link, expected a folder: remove the link")
            make_folders(path)
        return folder

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        staged = [self._bring(attempt) for attempt in attempts]
        for folder in {os.path.dirname(self._home(attempt)) for attempt in attempts}:
            if not is_there(folder):  # what a run or we have written there since is a part of an attempt
                said = f"{folder}: removed, or another worker has taken this one for dead, without a sign of it for long"
                return [StoreError(said)] * len(attempts)
        self.settle()
        return staged

    def _home(self, attempt: Finished) -> str:
        """Return the folder in which an attempt's worker has its attempts."""
        return f"{self.root}/{attempts_of(attempt.attempt.partition('-')[0])}"

    def hurry(self) -> None:
        """Nothing: no call waits for a file system to come back."""

    def settle(self) -> None:
        if self.durable:
            with self._answers:
                self._disk.sync()

    def _bring(self, attempt: Finished) -> Staged | StoreError:
        """Copy an attempt from a scratch disk to the store's file system, where it is not there already."""
        if not attempt.digested:
            try:
                with answers(attempt.folder):
                    add_digests(attempt.folder)
            except StoreError as error:
                return error
        if attempt.folder.startswith(f"{self.root}/{OURS}/"):
            return Staged(attempt, attempt.folder)
        folder = f"{self._home(attempt)}/{attempt.attempt}"
        try:
            with answers(folder):
                discard(folder)  # of an earlier try
                copy_tree(attempt.folder, folder)
        except StoreError as error:
            return error
        return Staged(attempt, folder)

    def hold(self, worker: str, keys: Sequence[str]) -> Mapping[str, int | StoreError]:
        return {key: self._hold(worker, key) for key in keys}

    def _hold(self, worker: str, key: str) -> int | HeldError:
        try:
            with self._answers:
                return self._holds.take(worker, key)
        except HeldError as error:
            return error

    def release(self, key: str) -> None:
        self._holds.release(key)

    def commit(self, staged: Staged) -> Outcome:
        attempt = staged.attempt
        with self._answers:
            if attempt.retried:
                history.move_there(self.root, attempt.key, staged.folder)
                outcome = Outcome.KEPT
            else:
                try:
                    outcome = self._commit(attempt, staged.folder)
                except OSError as error:
                    raise self._for_good(attempt.key, error) from error
                finally:
                    self.release(attempt.key)
        if staged.folder != attempt.folder:  # only now: it was the one whole copy that runs cannot reach
            discard(attempt.folder)
        return outcome

    def _commit(self, attempt: Finished, folder: str) -> Outcome:
        target = self._path(attempt.key)
        check_way(self.root, attempt.key)
        for _ in range(_TRIES):
            try:
                os.rename(folder, target)
                return Outcome.PUBLISHED
            except FileNotFoundError:
                if not os.path.lexists(folder):
                    raise
                make_folders(os.path.dirname(target))
            except OSError as error:
                if error.errno not in history.TAKEN:
                    raise
                if stays_in(target, attempt):
                    shutil.rmtree(folder, ignore_errors=True)
                    return Outcome.LOST
                if outcome := self._replacer.replace(attempt, folder, target):
                    return outcome
        raise StoreError(
            f"{target}: cannot be replaced: something else was there at each of {_TRIES} tries; is another program at work there?"
        )

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:
        file = f"{self.root}/{OURS}/attempts/{worker}/{_RUNNING}"
        with answers(file):
            write_whole(file, write_running(live))

    def running(self) -> Mapping[str, Live]:
        attempts, live = f"{self.root}/{OURS}/attempts", dict[str, Live]()
        with answers(attempts), suppress(*ABSENT):
            for worker in os.listdir(attempts):
                if is_alive(f"{attempts}/{worker}"):
                    live.update(read_running(read_file(f"{attempts}/{worker}/{_RUNNING}", None) or b""))
        return live

    def files(self, key: str) -> Mapping[str, int]:
        root = self._path(key)
        with answers(root):
            paths = [os.path.join(folder, file) for folder, _, files in walk(root) for file in files]
            return {os.path.relpath(path, root): size_of(root, path) for path in sorted(paths)}

    def open(self, key: str, file: str) -> BinaryIO:
        path = f"{self._path(key)}/{file}"
        with answers(path, but=(FileNotFoundError,)):
            try:
                return open_inside(self._path(key), file)
            except NotADirectoryError as error:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error

    def tail(self, key: str, file: str, at_most: int) -> bytes:
        return read_end(self._path(key), file, at_most)[0]

    def forget(self, key: str) -> bool:
        with self._answers:
            try:
                history.move_there(self.root, key, self._path(key))
            except FileNotFoundError:
                return False
            except OSError as error:
                raise self._for_good(key, error) from error
        return True

    def remove(self, key: str) -> bool:
        """Delete a run's output, which is moved away first, so that no reader sees half of it."""
        with self._answers:
            there = self.forget(key)
            check_way(self.root, f"{history.home_of(key)}/")
            try:
                had_history = history.remove(self.root, key)
            except OSError as error:
                raise self._for_good(key, error) from error
            if "/" in key:
                with suppress(OSError):  # parents that are now empty; the root has our own folder
                    os.removedirs(os.path.dirname(self._path(key)))
        return there or had_history

    def changing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def former(self, key: str) -> Sequence[str]:
        with self._answers:
            return history.former(self.root, key)

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with self._answers:
            for folder, folders, files in walk(self.root, closed=warn_closed):
                key = "" if folder == self.root else os.path.relpath(folder, self.root)
                if key and STATUS_CODE in files:
                    yield key
                    folders.clear()
                beside = OURS if not key else RESULTS if key in keys else ""
                inner = [(name, os.path.join(key, name)) for name in folders if name != beside]
                folders[:] = [name for name, one in inner if one not in keys or self._may_have_orphans(one)]

    def _may_have_orphans(self, key: str) -> bool:
        """Return whether the place of a run is a folder that is no output itself."""
        path = self._path(key)
        return os.access(path, os.X_OK) and not any(os.path.lexists(f"{path}/{file}") for file in FILES)

    def write_note(self, name: str, data: bytes) -> None:
        path = f"{self.root}/{OURS}/{name}"
        with answers(path):
            check_way(self.root, f"{OURS}/{name}")
            make_folders(os.path.dirname(path))
            write_whole(path, data)

    def read_note(self, name: str) -> bytes:
        return self.read_note_and_owner(name)[0]

    def read_note_and_owner(self, name: str, at_most: int = LARGEST_NOTE) -> tuple[bytes, int | None]:
        path = f"{self.root}/{OURS}/{name}"
        with answers(path, but=(FileNotFoundError,)):
            return read_owned(path, at_most)

    def remove_note(self, name: str) -> None:
        path = f"{self.root}/{OURS}/{name}"
        with answers(path), suppress(FileNotFoundError):
            check_way(self.root, f"{OURS}/{name}")
            os.unlink(path)

    def notes(self, folder: str) -> Sequence[str]:
        with answers(f"{self.root}/{OURS}/{folder}"):
            return names_of_notes(self.root, folder)

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}"
