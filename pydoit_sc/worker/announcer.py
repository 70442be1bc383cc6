"""Let others know what a worker is executing, if that has changed, once a second at most; and what it writes, if asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from pydoit_sc.store import Live, Store, StoreError
from pydoit_sc.worker.attempts import Attempt
from pydoit_sc.worker.showing import Showing

EVERY = 1.0  # seconds


class Announcer:
    """Tells the store; what ends within the first second need not be told."""

    def __init__(self, store: Store, worker: str, now: float) -> None:
        self._store, self._worker, self._host = store, worker, os.uname().nodename
        self._told: tuple[int, ...] = ()  # the pids of the runs that others were told of
        self._next = now + EVERY
        self._showing: Showing | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._showing:
            self._showing.close()

    def due(self, live: Mapping[int, Attempt]) -> float | None:
        """Return when there is something to tell, by the monotonic clock; None if there is nothing."""
        return self._next if self._told != tuple(live) else None

    def tell(self, live: Mapping[int, Attempt], now: float) -> None:
        """Tell what is executing, by pid, if it is time to."""
        if now < self._next or (pids := tuple(live)) == self._told:
            return
        self._told, self._next = pids, now + EVERY
        attempts = {
            a.work.run.key: Live(host=self._host, folder=a.folder, since=a.started, rank=a.ranks[0])
            for a in live.values()
        }
        with suppress(StoreError):  # for people alone
            self._store.announce(self._worker, attempts)
        if self._showing is None:
            self._showing = Showing(self._store, self._worker)
            self._showing.start()
        self._showing.folders = {a.id: a.folder for a in live.values()}
