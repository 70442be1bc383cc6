"""The store on a POSIX file system (local, NFS): a run is published by one rename of its whole folder.

An attempt is written below `.pydoit_sc/attempts/`, on the same file system, and is complete, `status_code`
included, before one rename makes it the run's folder. So a run's folder is always whole and of one attempt.

If the run's folder exists already, the rename fails, and the two are compared:

- a completed outcome of the same command that the plan did not know of stays, and the new attempt is dropped;
- anything else (a failed run, the outcome of another command, the one that the plan decided to replace, a folder that
  lost its `status_code`) is swapped with the new attempt by `RENAME_EXCHANGE`, so that there is always an outcome, and is
  then kept below `.pydoit_sc/history/`. Where the file system cannot exchange, the old folder is moved away first.
  One worker replaces at a time; its lock ends with its process. Where the lock is not available (no locks on this
  file system, a frozen worker holds it), the folder that was moved away is read once more: if another worker
  completed the run in between, it is moved back.

A group of attempts waits for one `syncfs` before its renames, so data is on the disk before the name is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import BinaryIO

from pydoit_sc.batch import OURS
from pydoit_sc.files import make_folders, open_regular, write_whole
from pydoit_sc.linux import exchange
from pydoit_sc.store import history
from pydoit_sc.store.base import Contents, Finished, HeldError, Outcome, Staged, StoreError, answers
from pydoit_sc.store.copying import copy_tree, discard
from pydoit_sc.store.digests import add_digests
from pydoit_sc.store.disk import Disk
from pydoit_sc.store.folders import is_alive, is_there, own_folder, remove_dead, scratch_folder
from pydoit_sc.store.holds import Holds
from pydoit_sc.store.layout import LARGEST_NOTE, STATUS_CODE, Record, stays
from pydoit_sc.store.looking import look, read_each
from pydoit_sc.store.notes import read_owned
from pydoit_sc.store.places import Beside, Fingerprints, There, check_folder, strange
from pydoit_sc.store.reading import (
    ABSENT,
    read_contents,
    read_documents,
    read_end,
    read_file,
    read_record,
)
from pydoit_sc.store.stamps import Live, read_running, write_running
from pydoit_sc.store.ways import check_way

_RUNNING = "running.json"  # in a worker's folder: what it is executing
_TRIES = 100  # to publish where others publish, replace or remove at the same moment
_REPLACING = 5.0  # seconds to wait for another worker that is replacing a run


class PosixStore:
    """Outputs below a folder of a POSIX file system."""

    in_place = True
    window = 1
    stagers = 1

    def __init__(self, root: str, *, durable: bool = True) -> None:
        self.root = root.rstrip("/") or "/"
        self.url = f"file://{self.root}"
        self.durable = durable
        self._answers = answers(self.root)
        self._disk = Disk(self.root)
        self._holds = Holds(f"{self.root}/{OURS}/holds", f"{self.root}/{OURS}/attempts")

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        wanted = list(keys)
        with answers(self.root):
            found = zip(wanted, read_each(self.root, wanted), strict=True)
            return {key: record for key, record in found if isinstance(record, Record)}

    def glance(self, keys: Iterable[str]) -> dict[str, Record]:
        return self.scan(keys)

    def look(
        self,
        keys: Sequence[str],
        fingerprints: Fingerprints = None,
        beside: Beside | None = None,  # noqa: ARG002 - nothing is listed
    ) -> Iterator[There | None]:
        with answers(self.root):
            yield from look(self.root, keys, fingerprints)

    def beside(self, keys: Sequence[str]) -> Mapping[str, str]:
        with answers(self.root):
            return {key: what for key in keys if (what := strange(self._path(key)))}

    def peek(self, key: str) -> Record | None:
        path = self._path(key)
        if not os.access(
            path, os.F_OK
        ):  # as a rule; what is wrong with the file system, the commit will find
            return None
        with answers(self.root):
            return read_record(path)

    def documents(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes, bytes | None]]:
        for key in keys:
            with answers(self._path(key)):
                small = read_documents(self._path(key))
            if small:
                yield key, *small

    def contents(self, keys: Iterable[str]) -> Iterator[tuple[str, Contents]]:
        for key in keys:
            with answers(self._path(key)):
                found = read_contents(self._path(key))
            if found:
                yield key, found

    @contextmanager
    def workspace(self, worker: str, scratch: str | None) -> Iterator[str]:
        with ExitStack() as ours:
            with answers(self.root):
                own = ours.enter_context(own_folder(self._make_own("attempts"), worker))
                remove_dead(own)
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
        for folder in {self._home(attempt) for attempt in attempts}:
            if not is_there(folder):  # what a run or we have written there since is a part of an attempt
                said = f"{folder}: removed, or another worker has taken this one for dead, without a sign of it for long"
                return [StoreError(said)] * len(attempts)
        self.settle()
        return staged

    def _home(self, attempt: Finished) -> str:
        """Return the folder of an attempt's worker."""
        return f"{self.root}/{OURS}/attempts/{attempt.attempt.partition('-')[0]}"

    def hurry(self) -> None:
        """Nothing: no call waits for a file system to come back."""

    def settle(self) -> None:
        if self.durable:
            with answers(self.root):
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
                finally:
                    self.release(attempt.key)
        if (
            staged.folder != attempt.folder
        ):  # only now: until then there is no other whole copy that runs cannot reach
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
                if _stays(target, attempt):
                    shutil.rmtree(folder, ignore_errors=True)
                    return Outcome.LOST
                with _lock(f"{self.root}/{OURS}/replacing"):
                    outcome = self._replace(attempt, folder, target)
                if outcome:
                    return outcome
        raise StoreError(
            f"{target}: cannot be replaced: something else was there at each of {_TRIES} tries; is another program at work there?"
        )

    def _replace(self, attempt: Finished, folder: str, target: str) -> Outcome | None:
        """Publish over an existing folder; return None if the folder has changed meanwhile."""
        if _stays(target, attempt):
            return None
        try:
            check_folder(target, target)
            if not exchange(folder, target):
                place = history.move_there(self.root, attempt.key, target)
                if _stays(place, attempt):  # published meanwhile
                    with suppress(OSError):  # replaced once more
                        os.rename(place, target)
                return None
        except FileNotFoundError:
            return None
        if _stays(folder, attempt):
            exchange(folder, target)
            shutil.rmtree(folder, ignore_errors=True)
            return Outcome.LOST
        try:
            history.move_there(self.root, attempt.key, folder)
        except (OSError, StoreError):
            with suppress(OSError):  # somebody has removed the new one
                exchange(folder, target)
            raise
        return Outcome.PUBLISHED

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
            paths = [os.path.join(folder, file) for folder, _, files in _walk(root) for file in files]
            return {os.path.relpath(path, root): os.lstat(path).st_size for path in sorted(paths)}

    def open(self, key: str, file: str) -> BinaryIO:
        path = os.path.join(self._path(key), file)
        with answers(path, but=(FileNotFoundError,)):
            try:
                return open_regular(path)
            except NotADirectoryError as error:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error

    def tail(self, key: str, file: str, at_most: int) -> bytes:
        return read_end(os.path.join(self._path(key), file), at_most)[0]

    def forget(self, key: str) -> bool:
        with answers(self.root):
            try:
                history.move_there(self.root, key, self._path(key))
            except FileNotFoundError:
                return False
        return True

    def remove(self, key: str) -> bool:
        """Delete a run's output, which is moved away first, so that no reader sees half of it."""
        with answers(self.root):
            there = self.forget(key)
            check_way(self.root, f"{history.home_of(key)}/")
            history.remove(self.root, key)
            if "/" in key:
                with suppress(OSError):  # parents that are now empty; the root has our own folder
                    os.removedirs(os.path.dirname(self._path(key)))
        return there

    def changing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def former(self, key: str) -> Sequence[str]:
        with answers(self.root):
            return history.former(self.root, key)

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with answers(self.root):
            for folder, folders, files in _walk(self.root):
                if folder == self.root and OURS in folders:
                    folders.remove(OURS)
                key = os.path.relpath(folder, self.root)
                if key in keys or STATUS_CODE in files:
                    folders.clear()
                    if key not in keys:
                        yield key

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
        root = f"{self.root}/{OURS}/{folder}"
        with answers(root):
            paths = [os.path.join(above, file) for above, _, files in _walk(root) for file in files]
            return sorted(f"{folder}/{os.path.relpath(path, root)}" for path in paths)

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}"


def _stays(folder: str, attempt: Finished) -> bool:
    """Return whether the outcome in a folder stays, and the new attempt is dropped."""
    return stays(read_record(folder), attempt.supersedes, attempt.fingerprint)


@contextmanager
def _lock(path: str) -> Iterator[None]:
    """Hold a lock on a file, if it is free in time, and if nobody has put something else there."""
    until = time.monotonic() + _REPLACING
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o664)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ELOOP, errno.EISDIR):  # a pipe, a link, a folder
            raise
        yield
        return
    try:
        while time.monotonic() < until:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(file)


def _walk(root: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a tree; it may not exist, and folders may vanish meanwhile. Raises every other OSError."""

    def wrong(error: OSError) -> None:
        if not isinstance(error, ABSENT):
            raise error

    return os.walk(root, onerror=wrong)
