"""What a worker starts next: runs that it holds, so that no other worker executes them meanwhile.

A run that another worker executes is looked at again, at growing intervals, until that one has published it or is gone.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from pydoit_sc.plan import Work
from pydoit_sc.store import HeldError, Publisher, Record, stays

_FIRST, _LONGEST = 0.1, 2.0  # seconds between two looks at a run that another worker executes


class Supply:
    """The runs that are left to start; None from `works` means that none is ready before one has ended."""

    def __init__(
        self, works: Iterator[Work | None], store: Publisher, worker: str, tell: Callable[[str], None]
    ) -> None:
        self._works, self._store, self._worker, self._tell = works, store, worker, tell
        #: A heap: when to look, a number of its own, the pause after that, and the run.
        self._waiting: list[tuple[float, int, float, Work]] = []
        self._pause, self._count, self._told = _FIRST, 0, set[str]()

    @property
    def look_at(self) -> float | None:
        """When to look again at a run that another worker executes; None if there is none."""
        return self._waiting[0][0] if self._waiting else None

    def next(self) -> Work | None:
        """Return the next run, None while all that are left must wait; raises StopIteration where none is left."""
        self._pause = _FIRST
        if self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, self._pause, work = heapq.heappop(self._waiting)
            return work
        try:
            return next(self._works)
        except StopIteration:
            if self._waiting:
                return None
            raise

    def take(self, work: Work) -> tuple[Record | None, int]:
        """Hold the run that is next, and return its outcome if another worker has published it meanwhile.

        The second value is the number of workers that have died while they executed it. Raises HeldError, StoreError.
        """
        deaths = self._store.hold(self._worker, work.run.key)
        now = self.outcome(work)
        if now is not None:
            self._store.release(work.run.key)
        return now, deaths

    def wait(self, work: Work, reason: str) -> None:
        """Look at the run that is next again later."""
        self._count += 1
        entry = (time.monotonic() + self._pause, self._count, min(2 * self._pause, _LONGEST), work)
        heapq.heappush(self._waiting, entry)
        if reason not in self._told:
            self._told.add(reason)
            self._tell(f"waiting for {work.task}: {reason}")

    def outcome(self, work: Work) -> Record | None:
        """Return the outcome that another worker has published since the plan was made: a failure, too."""
        now = self._store.peek(work.run.key)
        known = work.known.attempt if work.known else None
        if now is None or stays(now, known, work.fingerprint):
            return now
        failed = now.code and now.attempt not in ("", known) and now.fingerprint == work.fingerprint
        return now if failed else None

    def is_published(self, work: Work) -> bool:
        """Return whether another worker has published a run meanwhile; False while nobody can tell."""
        with suppress(HeldError):
            return self.outcome(work) is not None
        return False
