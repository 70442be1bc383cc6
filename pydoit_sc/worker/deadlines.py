"""When which run is to get which signal: its timeout, then the end of its grace.

A deadline is never taken back. When a run ends before its deadline, the entry stays until its time comes, and is then
known by the attempt's id to be of the past: a pid may be used again. So that a million short runs with long
timeouts do not pile up, entries of the past are swept out whenever they outnumber the live ones by far.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import NamedTuple

_SWEEP = 1000  # entries of the past that are kept


class Deadline(NamedTuple):
    """A signal that is due at a time of the monotonic clock."""

    when: float
    pid: int
    attempt: str
    signal: int


class Deadlines:
    """A heap of deadlines."""

    def __init__(self) -> None:
        self._heap: list[Deadline] = []

    @property
    def next(self) -> float | None:
        """When the earliest deadline is; None if there is none."""
        return self._heap[0].when if self._heap else None

    def add(self, deadline: Deadline) -> None:
        """Add a deadline."""
        heapq.heappush(self._heap, deadline)

    def crowded(self, live: int) -> bool:
        """Return whether there are many more deadlines than `live` attempts can have."""
        return len(self._heap) > 4 * live + _SWEEP

    def sweep(self, live: Collection[str]) -> None:
        """Remove the deadlines of the past; `live` are the ids of the attempts that are executing."""
        self._heap = [entry for entry in self._heap if entry.attempt in live]
        heapq.heapify(self._heap)

    def due(self, now: float) -> Iterator[Deadline]:
        """Remove and yield the deadlines that are over."""
        while self._heap and self._heap[0].when <= now:
            yield heapq.heappop(self._heap)
