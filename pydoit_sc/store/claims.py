"""The objects below the keys of runs: whose they are, and how one worker or command at a time clears a key.

While `run.json` is there without a `status_code`, the run belongs to the worker of that attempt, as long as its lease
lasts. Whoever clears a key waits for that, and holds it while it moves or deletes what is there: a worker that replaces
an outcome, and a user's command, which keeps a lease for this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import TypeVar

from pydoit_sc.retries import pauses, retry
from pydoit_sc.store.base import HeldError, StoreError, TakenError
from pydoit_sc.store.blobs import Blob, Blobs, get_all, leave_alone
from pydoit_sc.store.history import PLACES, home_of, used_up
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, STDERR, STDOUT, Record, key_digest
from pydoit_sc.store.leases import FencedError, Leases, wait_for
from pydoit_sc.store.places import check_ours
from pydoit_sc.store.stamps import Claim, claim_of, parse_record

_TRIES, _PAUSE = 6, 0.25  # of a brief request that writes; seconds before the second
_FINAL = (FileExistsError, FileNotFoundError, PermissionError, StoreError)

T = TypeVar("T")


class Claims:
    """The keys of runs, changed under the lease of now: once that has ended, or was not renewed in time, nothing is written.

    To make one raises what the store raises, where that lease has to be taken first.
    """

    def __init__(
        self, blobs: Blobs, leases: Leases, url: str, hurried: Callable[[], bool] = lambda: False
    ) -> None:
        self.blobs, self.url, self._hurried = blobs, url, hurried
        self.lease = leases.current()
        self._leases, self._breaks = leases, leases.breaks

    def insist(self, call: Callable[[], T]) -> T:
        """Make a brief request that writes; try it again as long as the lease lasts."""
        return retry(
            call,
            pauses(_TRIES - 1, _PAUSE),
            when=lambda error: not (self._hurried() or isinstance(error, _FINAL)),
            before=self._check,
        )

    def _check(self) -> None:
        """Raise FencedError if others may have worked here since: a request that is made again could undo that."""
        self._leases.check(self.lease)
        if self._leases.breaks > self._breaks:
            raise FencedError(f"{self.url}: worker {self.lease} was away for longer than its lease lasts")

    def list(self, key: str) -> dict[str, Blob]:
        """Return the objects of a run, by path below its key. Markers of folders are left out, and told."""
        found = {blob.path[len(key) + 1 :]: blob for blob in self.blobs.list(key)}
        return without_markers(self.blobs, self.url, found, (STDOUT, STDERR, STATUS_CODE, RUN_JSON))

    def record(self, key: str) -> Record | None:
        """Return a run's record, None where it has no `status_code`."""
        found = read_small(self.blobs, {key}).get(key)
        if found and found[1] is None:  # of `sc`, or it was being deleted, `run.json` last
            found = read_small(self.blobs, {key}).get(key)
        return parse_record(*found) if found else None

    def holder(self, key: str) -> Claim:
        """Return whose a run's key is."""
        try:
            return claim_of(self.blobs.get(f"{key}/{RUN_JSON}"))
        except FileNotFoundError:
            return Claim()

    def _list_free(self, key: str) -> Mapping[str, Blob]:
        """Return a run's objects; raises HeldError while another worker that may be alive is publishing it."""
        files = self.list(key)
        if STATUS_CODE not in files and RUN_JSON in files:
            worker = self.holder(key).lease
            if worker and worker != self.lease and (alive := self._leases.is_alive(worker)):
                raise HeldError(f"{self.url}: {key} is being published by {alive}")
        return files

    @contextmanager
    def clearing(self, key: str, seconds: float | None = None) -> Iterator[Mapping[str, Blob]]:
        """Hold a key that nobody is publishing; give its objects, to be moved; raises HeldError after waiting for so long.

        No others may be moved: once these are gone, and `run.json` is the last of them to go, a worker may claim the key.
        """
        name = f"replacing/{key_digest(key, 16)}"
        files = wait_for(partial(self._take, key, name), seconds)
        try:
            yield files
        finally:
            self._leases.release(name)

    def _take(self, key: str, name: str) -> Mapping[str, Blob]:
        self._list_free(key)
        self._leases.take(name)
        try:
            return self._list_free(key)  # a worker may have claimed it in between
        except BaseException:
            self._leases.release(name)
            raise

    def check(self) -> None:
        """Raise FencedError where the lease has been ended: others may then have cleared what was claimed under it."""
        self._leases.check(self.lease)

    def to_history(self, key: str, files: Iterable[str]) -> None:
        """Move a run's objects there, into a folder named after their attempt."""
        names = list(files)
        if not names:
            return
        self.check_ours(key, names)
        place = self._place(f"{home_of(key)}/{self.holder(key).attempt or 'unknown'}")
        for name in names:
            with suppress(FileNotFoundError):  # a worker was killed while it moved them
                self.insist(partial(self.blobs.copy, f"{key}/{name}", f"{place}/{name}"))
        self.delete(key, names)

    def _place(self, home: str) -> str:
        """Return a folder for an outcome that has nothing in it."""
        for place in (home, *(f"{home}.{n}" for n in range(1, PLACES))):
            if not any(True for _ in self.blobs.list(place)):
                return place
        raise StoreError(used_up(f"{self.url}/{home}"))

    def check_ours(self, key: str, files: Iterable[str]) -> None:
        """Raise TakenError if a run's objects are no output of a run."""
        self._check_ours(f"{self.url}/{key}", key, files)

    def strange(self, key: str) -> str:
        """Return what lies beside a run's outcome and is of no run; "" if nothing does."""
        files = self.list(key)
        try:
            self._check_ours("its place", key, files)
        except TakenError as error:
            return str(error)
        return ""

    def _check_ours(self, where: str, key: str, files: Iterable[str]) -> None:
        path = f"{key}/{RUN_JSON}"
        names = {name.partition("/")[0] for name in files}
        check_ours(where, names, lambda: get_all(self.blobs, [path]).get(path))

    def delete(self, key: str, names: Iterable[str]) -> None:
        """Delete a run's objects: `status_code` first, `run.json`, which holds the key, last."""
        rest = set(names)
        whose = self.holder(key) if rest else Claim()
        for part in ({STATUS_CODE}, rest - {STATUS_CODE, RUN_JSON}, {RUN_JSON}):
            paths = [f"{key}/{name}" for name in sorted(part & rest)]
            if paths:
                self._delete(key, paths, whose)

    def _delete(self, key: str, paths: Sequence[str], whose: Claim) -> None:
        """Delete objects; where a reply was lost, a worker may have claimed the key since, and what it has sent stays."""
        tries = count()

        def delete() -> None:
            if not next(tries) or self.holder(key) == whose:
                self.blobs.delete(paths)

        self.insist(delete)


def read_small(blobs: Blobs, keys: Iterable[str]) -> dict[str, tuple[bytes, bytes | None]]:
    """Return what the two small files hold of those runs that have a `status_code`."""
    codes = get_all(blobs, (f"{key}/{STATUS_CODE}" for key in keys))
    found = {path.rpartition("/")[0]: code for path, code in codes.items()}
    run_jsons = get_all(blobs, (f"{key}/{RUN_JSON}" for key in found))
    return {key: (code, run_jsons.get(f"{key}/{RUN_JSON}")) for key, code in found.items()}


def without_markers(
    blobs: Blobs, url: str, files: Mapping[str, Blob], known: Iterable[str]
) -> dict[str, Blob]:
    """Return a run's objects without what other tools put there to mark folders: `results/`, of no bytes.

    A listing shows it as `results`, which does not exist. `known` are names that need not be asked for.
    """
    asked = {name for name, blob in files.items() if not blob.size}.difference(known)
    markers = {name for name in asked if blobs.is_marker(files[name].path)}
    if markers:
        leave_alone(url, f"{files[min(markers)].path}/")
    return {name: blob for name, blob in files.items() if name not in markers}
