"""When which run is to get which signal: its timeout, then the end of its grace.

A deadline is never taken back. When a run ends before its deadline, the entry stays until its time comes, and is then
known by the attempt's id to be of the past: a pid may be used again. So that a million short runs with long
timeouts do not pile up, entries of the past are swept out whenever they outnumber the live ones by far.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydoit_sc.worker.attempts import Attempt

_SWEEP = 1000  # entries of the past that are kept


class Deadline(NamedTuple):
    """A signal that is due at a time of the monotonic clock."""

    when: float
    pid: int
    attempt: str
    signal: int


class Deadlines:
    """A heap of deadlines of attempts that are executing, which are given by their pids."""

    def __init__(self, live: Mapping[int, Attempt]) -> None:
        self._live = live
        self._heap: list[Deadline] = []

    @property
    def next(self) -> float | None:
        """When the earliest deadline is; None if there is none."""
        return self._heap[0].when if self._heap else None

    def add(self, when: float, pid: int, signal: int) -> None:
        """Add a deadline."""
        heapq.heappush(self._heap, Deadline(when, pid, self._live[pid].id, signal))
        if len(self._heap) > 4 * len(self._live) + _SWEEP:
            self._heap = [*filter(self._is_live, self._heap)]
            heapq.heapify(self._heap)

    def due(self, now: float) -> Iterator[Deadline]:
        """Remove and yield the deadlines that are over."""
        while self._heap and self._heap[0].when <= now:
            deadline = heapq.heappop(self._heap)
            if self._is_live(deadline):
                yield deadline

    def _is_live(self, deadline: Deadline) -> bool:
        attempt = self._live.get(deadline.pid)
        return attempt is not None and attempt.id == deadline.attempt
