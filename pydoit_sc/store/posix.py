"""The store on a POSIX file system (local, NFS): a run is published by one rename of its whole folder.

An attempt is written below `.pydoit_sc/attempts/`, on the same file system, and is complete, `status_code`
included, before one rename makes it the run's folder. So a run's folder is always whole and of one attempt.

If the run's folder exists already, the rename fails, and the two are compared:

- a completed outcome that the plan did not know of wins, and the new attempt is dropped;
- anything else (a failed run, the stale outcome that the plan set out to replace, a folder that lost its
  `status_code`) is swapped with the new attempt by `RENAME_EXCHANGE`, so that there is no moment without an
  outcome, and then kept below `.pydoit_sc/history/`. Where the file system cannot exchange, the old folder is
  moved away first. One worker replaces at a time, by a lock that ends with its process. Where the lock cannot
  be had (no locks there, a frozen worker holds it), what was taken away is looked at once more: if another
  worker completed the run in between, it is put back.

Durable: a group of attempts waits for one `syncfs` before its renames, so data is on the disk before the name.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import BinaryIO

from pydoit_sc.batch import OURS
from pydoit_sc.files import make_folders, not_for_all, write_whole
from pydoit_sc.linux import exchange, syncfs
from pydoit_sc.store.base import Contents, Finished, Live, Outcome, Staged, StoreError
from pydoit_sc.store.copying import copy_tree
from pydoit_sc.store.folders import is_alive, locked_folder, remove_dead, scratch_folder
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, Record, parse_record
from pydoit_sc.store.manifest import sizes

_EXISTS = (errno.ENOTEMPTY, errno.EEXIST)
_ABSENT = (FileNotFoundError, NotADirectoryError)
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_RUNNING = "running.json"  # in a worker's folder: what it is executing
_REPLACING = 5.0  # seconds to wait for another worker that replaces a run


class PosixStore:
    """Outputs below a folder of a POSIX file system."""

    stagers = 1

    def __init__(self, root: str, *, durable: bool = True) -> None:
        self.root = root.rstrip("/") or "/"
        self.url = f"file://{self.root}"
        self.durable = durable
        self._disk = _Disk(self.root)

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        by_parent: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            parent, _, name = key.rpartition("/")
            by_parent[parent].append(name)
        records: dict[str, Record] = {}
        with _answers(self.root):
            for parent, names in by_parent.items():
                prefix = f"{parent}/" if parent else ""
                records.update((prefix + name, record) for name, record in self._scan(parent, names))
        return records

    def _scan(self, parent: str, names: Sequence[str]) -> Iterator[tuple[str, Record]]:
        try:
            folder = os.open(os.path.join(self.root, parent), os.O_RDONLY | os.O_DIRECTORY)
        except _ABSENT:
            return
        try:
            for name in sorted(set(os.listdir(folder)).intersection(names)):  # sorted: kinder to the disk
                record = _read_record(name, folder)
                if record:
                    yield name, record
        except OSError as error:
            raise _located(error, os.path.join(self.root, parent)) from None
        finally:
            os.close(folder)

    def peek(self, key: str) -> Record | None:
        try:
            return _read_record(self._path(key))
        except OSError as error:
            raise _store_error(error, self.root) from error

    def contents(self, keys: Iterable[str]) -> Iterator[tuple[str, Contents]]:
        for key in keys:
            with _answers(self._path(key)):
                found = self._contents(key)
            if found:
                yield key, found

    def _contents(self, key: str) -> Contents | None:
        try:
            run = os.open(self._path(key), _FOLDER)
        except _ABSENT:
            return None
        try:
            small = _read_small(run)
            if small is None:
                return None
            files = {name: (size, "") for name, size in sizes(f"/proc/self/fd/{run}").items()}
            return Contents(files, *small)
        finally:
            os.close(run)

    @contextmanager
    def workspace(self, worker: str, scratch: str | None, chunk: str = "") -> Iterator[str]:  # noqa: ARG002
        attempts = os.path.join(self.root, OURS, "attempts")
        with ExitStack() as ours:
            with _answers(self.root):
                make_folders(attempts)
                remove_dead(attempts)
                own = ours.enter_context(locked_folder(attempts, worker))
                self._disk.watch()
            if scratch is not None:
                with _answers(scratch):
                    own = ours.enter_context(scratch_folder(scratch, worker))
            yield own

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        staged = [self._bring(attempt) for attempt in attempts]
        self.settle()
        return staged

    def settle(self) -> None:
        if self.durable:
            with _answers(self.root):
                self._disk.sync()

    def _bring(self, attempt: Finished) -> Staged | StoreError:
        """Have the attempt on the store's own file system: copy it there from a scratch disk."""
        if attempt.folder.startswith(f"{self.root}/{OURS}/"):
            return Staged(attempt, attempt.folder)
        folder = f"{self.root}/{OURS}/attempts/{attempt.attempt.partition('-')[0]}/{attempt.attempt}"
        try:
            with _answers(folder):
                copy_tree(attempt.folder, folder)
        except StoreError as error:
            return error
        shutil.rmtree(attempt.folder, ignore_errors=True)
        return Staged(attempt, folder)

    def commit(self, staged: Staged) -> Outcome:
        try:
            return self._commit(staged.attempt, staged.folder)
        except OSError as error:
            raise _store_error(error, self.root) from error

    def _commit(self, attempt: Finished, folder: str) -> Outcome:
        target = self._path(attempt.key)
        while True:
            try:
                os.rename(folder, target)
                return Outcome.PUBLISHED
            except FileNotFoundError:
                if not os.path.lexists(folder):
                    raise
                make_folders(os.path.dirname(target))
            except OSError as error:
                if error.errno not in _EXISTS:
                    raise
                if _wins(_read_record(target), attempt):
                    shutil.rmtree(folder, ignore_errors=True)
                    return Outcome.LOST
                with _lock(f"{self.root}/{OURS}/replacing"):
                    outcome = self._replace(attempt, folder, target)
                if outcome:
                    return outcome

    def _replace(self, attempt: Finished, folder: str, target: str) -> Outcome | None:
        """Publish over an existing folder; None: things have changed, look again."""
        if _wins(_read_record(target), attempt):
            return None
        try:
            if not exchange(folder, target):
                place = self._to_history(attempt.key, target)
                if _wins(_read_record(place), attempt):  # published since we looked
                    with suppress(OSError):  # or replaced again: then look again
                        os.rename(place, target)
                return None
            if _wins(_read_record(folder), attempt):
                exchange(folder, target)
                shutil.rmtree(folder, ignore_errors=True)
                return Outcome.LOST
            self._to_history(attempt.key, folder)
        except FileNotFoundError:
            return None
        return Outcome.PUBLISHED

    def _to_history(self, key: str, folder: str) -> str:
        """Move an output there and return where it is now; raises FileNotFoundError where there is none."""
        os.lstat(folder)
        record = _read_record(folder)
        home = os.path.join(self.root, OURS, "history", key)
        make_folders(home)
        name = (record and record.attempt) or "unknown"
        place, n = os.path.join(home, name), 0
        while os.path.lexists(place):
            n += 1
            place = os.path.join(home, f"{name}.{n}")
        os.rename(folder, place)
        return place

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:
        file = f"{self.root}/{OURS}/attempts/{worker}/{_RUNNING}"
        with _answers(file):
            with open(f"{file}.new", "w", encoding="utf-8", opener=not_for_all) as new:
                json.dump({key: asdict(attempt) for key, attempt in live.items()}, new)
            os.replace(f"{file}.new", file)

    def running(self) -> Mapping[str, Live]:
        attempts, live = f"{self.root}/{OURS}/attempts", {}
        with _answers(attempts), suppress(*_ABSENT):
            for worker in os.listdir(attempts):
                if is_alive(f"{attempts}/{worker}"):
                    said = _read(f"{attempts}/{worker}/{_RUNNING}", None)
                    live.update({key: Live(**item) for key, item in json.loads(said or b"{}").items()})
        return live

    def files(self, key: str) -> Mapping[str, int]:
        root = self._path(key)
        with _answers(root):
            paths = [os.path.join(folder, file) for folder, _, files in _walk(root) for file in files]
            return {os.path.relpath(path, root): os.lstat(path).st_size for path in sorted(paths)}

    def open(self, key: str, file: str) -> BinaryIO:
        path = os.path.join(self._path(key), file)
        try:
            with _answers(path):
                return open(path, "rb")
        except StoreError as error:
            if isinstance(error.__cause__, _ABSENT):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
            raise

    def forget(self, key: str) -> bool:
        with _answers(self.root):
            try:
                self._to_history(key, self._path(key))
            except FileNotFoundError:
                return False
        return True

    def remove(self, key: str) -> bool:
        """Delete a run's output; first out of sight in one step, so that no reader sees half of it."""
        with _answers(self.root):
            there = self.forget(key)
            shutil.rmtree(os.path.join(self.root, OURS, "history", key), ignore_errors=True)
            if "/" in key:
                with suppress(OSError):  # the parents that are now empty; the root holds our own folder
                    os.removedirs(os.path.dirname(self._path(key)))
        return there

    def orphans(self, keys: set[str]) -> Iterator[str]:
        with _answers(self.root):
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
        with _answers(path):
            make_folders(os.path.dirname(path))
            write_whole(path, data)

    def read_note(self, name: str) -> bytes:
        with self.open(OURS, name) as file:
            return file.read()

    def notes(self, folder: str) -> Sequence[str]:
        root = f"{self.root}/{OURS}/{folder}"
        with _answers(root):
            paths = [os.path.join(above, file) for above, _, files in _walk(root) for file in files]
            return sorted(f"{folder}/{os.path.relpath(path, root)}" for path in paths)

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}"


class _Disk:
    """The disk under a store, as one worker sees it, from before its first attempt on.

    The kernel tells of data that it could not write once, to whoever has a file open then and asks first, and drops
    the data. So the store is opened before anything is written, lest another worker's sync takes the news away; and
    after a failure nothing counts as being on the disk, although the next sync would succeed.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._fd = -1
        self._lost: OSError | None = None

    def watch(self) -> None:
        """Hear from now on of what is lost; raises OSError."""
        if self._fd < 0:
            self._fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            weakref.finalize(self, _close, self._fd)

    def sync(self) -> None:
        """Return when everything is on the disk; raises OSError."""
        if self._lost:
            raise self._lost
        self.watch()
        try:
            syncfs(self._fd)
        except OSError as error:
            self._lost = error
            raise


def _close(fd: int) -> None:
    with suppress(OSError):  # nothing was written through it, and nobody is left to hear of it
        os.close(fd)


def _wins(existing: Record | None, attempt: Finished) -> bool:
    """Say whether what is there stays: completed, and not what the plan set out to replace."""
    return existing is not None and existing.code == 0 and existing.attempt != attempt.supersedes


def _read_record(folder: str, dir_fd: int | None = None) -> Record | None:
    """Read a run's two small files through its folder: by name, it could be replaced between them."""
    try:
        run = os.open(folder, _FOLDER, dir_fd=dir_fd)
    except _ABSENT:
        return None
    try:
        small = _read_small(run)
    except OSError as error:
        raise _located(error, folder) from None
    finally:
        os.close(run)
    return parse_record(*small) if small else None


def _read_small(run: int) -> tuple[bytes, bytes | None] | None:
    status_code = _read(STATUS_CODE, run)
    return None if status_code is None else (status_code, _read(RUN_JSON, run))


def _read(path: str, dir_fd: int | None) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    except _ABSENT:
        return None
    try:
        data = os.read(fd, 1 << 16)
        while len(data) >= 1 << 16 and (more := os.read(fd, 1 << 20)):
            data += more
        return data
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


@contextmanager
def _lock(path: str) -> Iterator[None]:
    """Hold a lock on a file, if it can be had in time."""
    until = time.monotonic() + _REPLACING
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o664)
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
    """Walk a tree that may not exist, or lose folders meanwhile; raises every other OSError."""

    def wrong(error: OSError) -> None:
        if not isinstance(error, _ABSENT):
            raise error

    return os.walk(root, onerror=wrong)


@contextmanager
def _answers(root: str) -> Iterator[None]:
    """Turn an error of the file system into a `StoreError` that names the file."""
    try:
        yield
    except OSError as error:
        raise _store_error(error, root) from error


def _located(error: OSError, folder: str) -> OSError:
    """Say of an error where the file is whose name counts from this folder, or that it is the folder itself."""
    name = error.filename if isinstance(error.filename, str) else ""  # of a descriptor it is a number
    error.filename = os.path.join(folder, name) if name else folder
    return error


def _store_error(error: OSError, root: str) -> StoreError:
    path = " -> ".join(str(name) for name in (error.filename, error.filename2) if name) or root
    return StoreError(f"{path}: {error.strerror or error}")
