"""Leases on an object store: which workers are alive, and what each of them holds.

A worker renews its lease by replacing one version of an object, so it cannot renew a lease that another worker has
ended. If it has not renewed in time (it was frozen, or cut off), it renews before it writes anything. What it was doing
under a lease that has ended, it gives up; under another one, of another name, it may begin again. A lease that was not renewed for `TTL` is ended by a worker that waits for it. Both times are the store's own, so
no two clocks are compared; where a store tells no times, the lease is watched for that long. A worker that died on the
same machine is noticed at once.

What is held (a chunk, the replacing of an outcome) is an object with the holder's name; it is held as long as that
worker's lease lasts.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import repeat
from typing import TypeVar

from pydoit_sc.batch import OURS
from pydoit_sc.proc import is_running, machine, started_at
from pydoit_sc.retries import pauses, retry
from pydoit_sc.store.base import HeldError, StoreError
from pydoit_sc.store.blobs import Blob, Blobs, ChangedError, get_all
from pydoit_sc.store.documents import Hold, Lease
from pydoit_sc.store.stamps import Live, read

TTL = 60.0  # seconds from a renewal until a lease may be ended by others
RENEW_EVERY = TTL / 4
MARGIN = TTL / 4  # so long before its end the worker renews first: a request may be under way for this time
LOOK_EVERY = 1.0  # seconds between two looks at what another worker holds
_TAKES = 20  # tries to hold what changes hands meanwhile
_BEGIN_AGAIN = (1.0, 3.0)  # seconds before the second and the third try to write a new lease

_FOLDER = f"{OURS}/leases"

H = TypeVar("H", bound=Hold)


class FencedError(StoreError):
    """Another worker has ended the worker's lease, and may publish what this one has not."""


class Leases:
    """The leases of a store, as one process sees them."""

    def __init__(self, blobs: Blobs, url: str) -> None:
        self._blobs, self._url = blobs, url
        self.worker = ""  # the name of the lease that is kept here; "": none is
        self._etag = ""
        self._renewed = 0.0
        self._over = ""  # the message once another worker has ended it, until there is another one
        self._live: Mapping[str, Live] = {}
        self._mutex = threading.RLock()
        # For stores without times: the version of each lease, and since when it has been there.
        self._seen: dict[str, tuple[str, float]] = {}

    @contextmanager
    def keep(self, worker: str) -> Iterator[None]:
        """Keep a lease for a worker, and renew it, until the end; the first has the worker's name."""
        self._live = {}
        retry(partial(self._begin, worker), _BEGIN_AGAIN)
        end = threading.Event()
        thread = threading.Thread(target=self._keep_renewing, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            if not self._over:
                with suppress(Exception):  # it ends without
                    self._blobs.delete([f"{_FOLDER}/{self.worker}"])
            self.worker = ""

    def _begin(self, name: str) -> None:
        """Write a new lease; raises what the store raises."""
        began = _now()
        self._etag = self._blobs.put(f"{_FOLDER}/{name}", self._text(name))
        self.worker, self._renewed, self._over = name, began, ""

    def _keep_renewing(self, end: threading.Event) -> None:
        while not end.wait(LOOK_EVERY):
            if self._over or _now() - self._renewed > RENEW_EVERY:
                try:
                    self.current() if self._over else self.renew()
                except Exception:
                    end.wait(next(pauses(1, RENEW_EVERY / 4)))

    def current(self) -> str:
        """Return the name of the lease; takes another one where it was ended. Raises what the store raises."""
        with self._mutex:
            if self._over:
                self._begin(secrets.token_hex(5))
            return self.worker

    def renew(self) -> None:
        """Renew the lease; raises FencedError where it was ended, and what the store raises."""
        with self._mutex:
            if self._over:
                raise FencedError(self._over)
            began, text = _now(), self._text(self.worker)
            path = f"{_FOLDER}/{self.worker}"
            try:
                self._etag = self._blobs.update(path, text, self._etag)
            except ChangedError:
                there = self._read(Lease, path)
                if there is None or there[0].ended_by is not None:
                    by = f"worker {there[0].ended_by}" if there and there[0].ended_by else "another worker"
                    self._over = (
                        f"{self._url}: worker {self.worker} did not renew its lease for {TTL:g} s, and "
                        f"{by} has ended it: what was not published is left"
                    )
                    raise FencedError(self._over) from None
                self._etag = there[1].etag  # our own renewal, whose reply was lost
            self._renewed = began

    def check(self, name: str | None = None) -> None:
        """Return if the worker may write now, under the lease of this name; raises FencedError where it may not.

        Raises what the store raises.
        """
        if not self.worker:
            return  # to write a note takes no lease
        if self._over:
            raise FencedError(self._over)
        if name not in (None, self.worker):
            raise FencedError(f"{self._url}: the lease {name} has been ended")
        if not self.is_recent:
            self.renew()

    @property
    def is_recent(self) -> bool:
        """Whether the worker may write now, without a request."""
        return not self._over and self.age <= TTL - MARGIN

    @property
    def age(self) -> float:
        """The seconds since the store has taken the lease, or its renewal."""
        return _now() - self._renewed

    def announce(self, live: Mapping[str, Live]) -> None:
        """Have the next renewal say what the worker is executing."""
        self._live = live

    def running(self) -> Mapping[str, Live]:
        """Return what workers whose lease is recent say they are executing, by key."""
        fresh = [blob for blob in self._blobs.list(_FOLDER) if (blob.modified or 0) > time.time() - 3 * TTL]
        live: dict[str, Live] = {}
        for data in get_all(self._blobs, (blob.path for blob in fresh)).values():
            lease = read(Lease, data)
            if lease and _is_here(lease) is not False:
                live.update(lease.running)
        return live

    def is_alive(self, worker: str) -> str:
        """Return which worker it is, and where, if it may be alive; else end its lease and return ""."""
        there = self._read(Lease, f"{_FOLDER}/{worker}")
        if there is None or there[0].ended_by is not None:
            return ""
        lease, blob = there
        where = f"worker {worker} on {lease.host}"
        if _is_here(lease) is not False and not self._is_old(blob):
            return where
        self.check()
        try:
            ended = Lease(worker=worker, ended_by=self.worker)
            self._blobs.update(blob.path, ended.to_json(), blob.etag)
        except ChangedError:
            return where  # it has been renewed meanwhile
        self._blobs.delete([blob.path])
        return ""

    def _is_old(self, blob: Blob) -> bool:
        if blob.modified is not None:
            self.renew()  # to get the store's time now
            own = self._read(Lease, f"{_FOLDER}/{self.worker}")
            if own and own[1].modified is not None:
                return own[1].modified - blob.modified > TTL
        etag, since = self._seen.setdefault(blob.path, (blob.etag, _now()))
        if etag != blob.etag:
            self._seen[blob.path] = (blob.etag, _now())
        return etag == blob.etag and _now() - since > TTL

    def take(self, name: str) -> None:
        """Hold something for the worker whose lease is kept here; raises HeldError where another one holds it."""
        path, text = f"{OURS}/{name}", Hold(worker=self.worker).to_json()
        for _ in range(_TAKES):
            self.check()
            try:
                self._blobs.create(path, text)
                return
            except FileExistsError:
                there = self._read(Hold, path)
            if there is None:
                continue  # it was released just now
            holder = there[0].worker
            if holder == self.worker:
                return  # ours: the reply was lost
            alive = self.is_alive(holder) if holder else ""
            if alive:
                raise HeldError(f"{self._url}: {name} is held by {alive}")
            with suppress(ChangedError):
                self._blobs.update(path, text, there[1].etag)
                return
        raise HeldError(f"{self._url}: {name} has changed hands {_TAKES} times")

    def release(self, name: str) -> None:
        """Hold something no longer; a failure is ignored, since a hold ends with the lease."""
        with suppress(Exception):
            self.check()
            self._blobs.delete([f"{OURS}/{name}"])

    def _read(self, model: type[H], path: str) -> tuple[H, Blob] | None:
        """Return a document, an empty one where it is not sound, and its version; None where there is none."""
        try:
            data, blob = self._blobs.read(path)
        except FileNotFoundError:
            return None
        return read(model, data) or model(), blob._replace(path=path)

    def _text(self, name: str) -> bytes:
        return Lease(
            worker=name,
            host=socket.gethostname(),
            here=machine(),
            pid=os.getpid(),
            started=started_at(os.getpid()),
            time=time.time(),
            running=dict(self._live),
        ).to_json()


def wait_for(take: Callable[[], None], seconds: float | None = None) -> None:
    """Call until it no longer raises HeldError, or has done so for so long.

    Who is waited for has a lease that it renews: one that dies, or is cut off, is waited for no longer than that lasts.
    """
    waits = repeat(LOOK_EVERY) if seconds is None else repeat(LOOK_EVERY, round(seconds / LOOK_EVERY))
    retry(take, waits, when=lambda error: isinstance(error, HeldError))


def _now() -> float:
    """Return seconds on a clock that is never set, and that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_here(lease: Lease) -> bool | None:
    """Return whether a worker is alive on this machine; None if it is, or was, on another."""
    return is_running(lease.pid, lease.started) if lease.here == machine() else None
