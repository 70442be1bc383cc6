"""Leases on an object store: which workers are alive, and what each of them holds.

A worker renews its lease by replacing one version of an object, so a worker whose lease somebody else has ended
cannot renew it. It writes nothing when it has not renewed in time (it was frozen, or cut off): it tries to renew
first, and stops if that fails. A lease whose last renewal is older than `TTL` is ended by whoever it hinders; both times are the
store's own, so no two clocks are compared, and a store that tells no times is watched for that long. A worker that died on
the same machine is seen at once.

What is held (a chunk, the replacing of an outcome) is an object with the holder's name; it is held as long as that
worker's lease is.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from typing import Any

from pydoit_sc.batch import OURS
from pydoit_sc.store.base import HeldError, Live, StoreError
from pydoit_sc.store.blobs import Blob, Blobs, ChangedError, get_all

TTL = 60.0  # seconds from a renewal until a lease may be ended by others
RENEW_EVERY = TTL / 4
MARGIN = TTL / 4  # before that end the worker itself takes it for over: a request may be under way so long
LOOK_EVERY = 1.0  # seconds between two looks at what another worker holds

_FOLDER = f"{OURS}/leases"


class FencedError(StoreError):
    """The worker's lease was ended by another worker; what it has not published is that one's now."""


class Leases:
    """The leases of a store, as one process sees them."""

    def __init__(self, blobs: Blobs, url: str) -> None:
        self._blobs, self._url = blobs, url
        self._worker = ""  # whose lease is kept here, "" where none is
        self._etag = ""
        self._renewed = 0.0
        self._over = ""  # who has ended the lease
        self._live: Mapping[str, Live] = {}
        self._mutex = threading.RLock()
        self._seen: dict[
            str, tuple[str, float]
        ] = {}  # of stores without times: a version, and since when it is there

    @contextmanager
    def keep(self, worker: str) -> Iterator[None]:
        """Keep a lease for a worker, and renew it, until the end."""
        self._over, self._live, self._worker = "", {}, worker
        self._begin()
        end = threading.Event()
        thread = threading.Thread(target=self._keep_renewing, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            if not self._over:
                with suppress(Exception):  # it ends by itself
                    self._blobs.delete([f"{_FOLDER}/{worker}"])
            self._worker = ""

    def _begin(self) -> None:
        """Write the lease, which a slow answer or two do not prevent; raises what the store raises."""
        for pause in (1.0, 3.0, None):
            began = _now()
            try:
                self._etag = self._blobs.put(f"{_FOLDER}/{self._worker}", self._text())
            except Exception:
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                self._renewed = began
                return

    def _keep_renewing(self, end: threading.Event) -> None:
        while not end.wait(RENEW_EVERY):
            with suppress(Exception):  # whoever is about to write tries again, and tells of it
                self.renew()

    def renew(self) -> None:
        """Renew the lease; raises FencedError where it was ended, and what the store raises."""
        with self._mutex:
            if self._over:
                raise FencedError(self._over)
            began, text = _now(), self._text()
            path = f"{_FOLDER}/{self._worker}"
            try:
                self._etag = self._blobs.update(path, text, self._etag)
            except ChangedError:
                there = self._read(path)
                if not there or "ended_by" in there[0]:
                    by = str(there[0].get("ended_by", "")) if there else ""
                    self._over = (
                        f"{self._url}: worker {self._worker} did not renew its lease for {TTL:g} s, and "
                        f"{f'worker {by}' if by else 'another worker'} has ended it: what was not published is left"
                    )
                    raise FencedError(self._over) from None
                self._etag = there[1].etag  # our own, whose answer was lost
            self._renewed = began

    def check(self) -> None:
        """Return if the worker may write now; raises FencedError where its lease was ended, and what the store raises."""
        if not self._worker:
            return  # a command that somebody has given, `forget`; no worker
        if self._over or _now() - self._renewed > TTL - MARGIN:
            self.renew()

    def announce(self, live: Mapping[str, Live]) -> None:
        """Have the next renewal say what the worker is executing."""
        self._live = live

    def running(self) -> Mapping[str, Live]:
        """Return what workers whose lease is not old say they are executing, by key."""
        fresh = [blob for blob in self._blobs.list(_FOLDER) if (blob.modified or 0) > time.time() - 3 * TTL]
        live: dict[str, Live] = {}
        for data in get_all(self._blobs, (blob.path for blob in fresh)).values():
            said = _parse(data)
            if _is_here(said) is not False:
                with suppress(TypeError):
                    live.update({key: Live(**item) for key, item in said.get("running", {}).items()})
        return live

    def is_alive(self, worker: str) -> str:
        """Return where a worker is that may be alive; "" where it is not: its lease is over, and is ended if need be."""
        there = self._read(f"{_FOLDER}/{worker}")
        if there is None or "ended_by" in there[0]:
            return ""
        said, blob = there
        where = f"worker {worker} on {said.get('host', 'an unknown host')}"
        if _is_here(said) is not False and not self._is_old(blob):
            return where
        self.check()
        try:
            text = json.dumps({"worker": worker, "ended_by": self._worker}).encode()
            self._blobs.update(blob.path, text, blob.etag)
        except ChangedError:
            return where  # it has renewed it in this moment
        self._blobs.delete([blob.path])
        return ""

    def _is_old(self, blob: Blob) -> bool:
        if blob.modified is not None:
            self.renew()  # for the store's own time of this moment
            own = self._read(f"{_FOLDER}/{self._worker}")
            if own and own[1].modified is not None:
                return own[1].modified - blob.modified > TTL
        etag, since = self._seen.setdefault(blob.path, (blob.etag, _now()))
        if etag != blob.etag:
            self._seen[blob.path] = (blob.etag, _now())
        return etag == blob.etag and _now() - since > TTL

    def take(self, name: str) -> None:
        """Hold something for the worker that keeps a lease here; raises HeldError where another one holds it."""
        path, text = f"{OURS}/{name}", json.dumps({"worker": self._worker}).encode()
        self.check()
        while True:
            try:
                self._blobs.create(path, text)
                return
            except FileExistsError:
                there = self._read(path)
            if there is None:
                continue
            holder = str(there[0].get("worker", ""))
            if holder == self._worker:
                return  # ours: the answer was lost
            alive = self.is_alive(holder) if holder else ""
            if alive:
                raise HeldError(f"{self._url}: {name} is held by {alive}")
            try:
                self._blobs.update(path, text, there[1].etag)
                return
            except ChangedError:
                continue

    def release(self, name: str) -> None:
        """Hold something no longer; a failure is no matter, since it ends with the lease."""
        with suppress(Exception):
            self.check()
            self._blobs.delete([f"{OURS}/{name}"])

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold something within, after waiting for whoever holds it."""
        wait_for(lambda: self.take(name))
        try:
            yield
        finally:
            self.release(name)

    def _read(self, path: str) -> tuple[dict[str, Any], Blob] | None:
        try:
            data, blob = self._blobs.read(path)
        except FileNotFoundError:
            return None
        return _parse(data), blob._replace(path=path)

    def _text(self) -> bytes:
        said = {
            "worker": self._worker,
            "host": socket.gethostname(),
            "here": _machine(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "time": time.time(),  # also makes every version another one
            "running": {key: asdict(live) for key, live in dict(self._live).items()},
        }
        return json.dumps(said).encode()


def wait_for(take: Callable[[], None]) -> None:
    """Call until it no longer raises HeldError."""
    while True:
        try:
            return take()
        except HeldError:
            time.sleep(LOOK_EVERY)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _now() -> float:
    """Return seconds on a clock that nobody sets, and that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_here(said: Mapping[str, Any]) -> bool | None:
    """Say whether a worker runs on this machine; None if it is, or was, on another."""
    if said.get("here") != _machine():
        return None
    return _started(said.get("pid")) == said.get("started") != ""


@cache
def _machine() -> str:
    """Return what no other machine, no other start of it, and no other container on it has."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"


def _started(pid: object) -> str:
    """Return when a process started, in the kernel's ticks; "" if there is none, or only what is left of it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == b"Z" else fields[19].decode()
