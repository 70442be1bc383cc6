"""Pack runs into chunks by how long they will take: each rank of a chunk ends at about the same time, and the longest chunks come first.

A worker gives the next run of its chunk to the ranks that are free first. So a chunk is packed in that order: to those
ranks goes the longest run that still ends in time. The short ones, which fit anywhere, are left for the end.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from operator import itemgetter

_LAST = 4  # the last chunks are up to so many times shorter, so that all machines end together
_WORTH = 60.0  # seconds that a job is worth its start: the last chunks are not made shorter
_LEFT = 2  # of what is left to each machine, a chunk takes this part at most
_ROUNDING = 1 + 1e-9  # of sums of seconds


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a chunk becomes."""

    ranks: int  # that its runs share
    seconds: float  # that it takes, unless one of its runs alone takes longer
    limit: float = inf  # seconds that it takes at most, unless it is one run
    runs: float = inf  # in it at most
    machines: int | None = None  # that execute chunks at once, where that is known


class Timeline:
    """When the ranks of a worker are free."""

    def __init__(self, ranks: int) -> None:
        self._free = [0.0] * ranks  # sorted

    def start(self, slots: int) -> float:
        """Return when so many ranks are free."""
        return self._free[slots - 1]

    def take(self, slots: int, seconds: float) -> None:
        """Give the ranks that are free first to a run."""
        end = self.start(slots) + seconds
        del self._free[:slots]
        for _ in range(slots):
            insort(self._free, end)

    @property
    def end(self) -> float:
        """When all runs have ended."""
        return self._free[-1]


class _Queue:
    """Runs that need as many ranks each, the shortest first; of equal ones the last."""

    def __init__(self, runs: Sequence[tuple[float, int]]) -> None:
        ordered = sorted((seconds, -position) for seconds, position in runs)
        self.seconds = [seconds for seconds, _ in ordered]
        self.positions = [-position for _, position in ordered]
        # For each run the last one up to it that is there, or one on the way to it.
        self._last = list(range(len(runs)))

    def find(self, most: float = inf) -> int:
        """Return the place of the longest run that takes so many seconds at most; -1 if there is none."""
        last = self._last
        first = found = bisect_right(self.seconds, most) - 1
        while found >= 0 and last[found] != found:
            found = last[found]
        while first > found:  # so that the way is short next time
            last[first], first = found, last[first]
        return found

    def remove(self, place: int) -> None:
        """Remove a run."""
        self._last[place] = place - 1

    @property
    def longest(self) -> float:
        """The seconds of the longest run; 0 if there is none."""
        found = self.find()
        return self.seconds[found] if found >= 0 else 0.0


def pack(needs: Sequence[tuple[float, int]], bounds: Bounds) -> list[list[int]]:
    """Return chunks of runs by their positions; for each run its seconds and how many ranks it needs are given.

    >>> pack([(1, 1), (9, 1), (2, 1), (3, 1), (3, 1), (3, 1)], Bounds(2, 4))
    [[1, 3, 4, 5], [2, 0]]
    """
    by_slots: dict[int, list[tuple[float, int]]] = {}
    for position, (seconds, slots) in enumerate(needs):
        by_slots.setdefault(min(slots, bounds.ranks), []).append((seconds, position))
    queues = {slots: _Queue(runs) for slots, runs in by_slots.items()}
    left = sum(seconds * slots for seconds, slots in needs)
    chunks: list[tuple[float, list[int]]] = []
    packed = 0
    while packed < len(needs):
        usual = bounds.seconds
        if bounds.machines:
            share = left / bounds.ranks / bounds.machines / _LEFT
            usual = min(usual, max(share, usual / _LAST, _WORTH))
        most = min(bounds.limit, max(usual, *(queue.longest for queue in queues.values()))) * _ROUNDING
        timeline, chunk = Timeline(bounds.ranks), list[int]()
        while len(chunk) < bounds.runs:
            seconds, slots, place = 0.0, 0, -1
            for number, queue in queues.items():
                found = queue.find(most - timeline.start(number) if chunk else inf)
                if found >= 0 and queue.seconds[found] > seconds:
                    seconds, slots, place = queue.seconds[found], number, found
            if place < 0:
                break
            chunk.append(queues[slots].positions[place])
            queues[slots].remove(place)
            timeline.take(slots, seconds)
            left -= seconds * slots
        packed += len(chunk)
        chunks.append((timeline.end, chunk))
    return [chunk for _, chunk in sorted(chunks, key=itemgetter(0), reverse=True)]
