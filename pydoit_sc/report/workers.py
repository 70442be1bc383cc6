"""The workers that have executed a batch: on which machine, when, and how much of their ranks' time was idle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydoit_sc.report.reported import Reported


@dataclass(slots=True)
class WorkerTime:
    """What one worker has executed; times in seconds."""

    host: str
    start: float  # of its first run, since the epoch
    end: float = 0.0  # of its last one
    runs: int = 0
    busy: float = 0.0  # of its ranks together
    ranks: set[int] = field(default_factory=set)

    @property
    def length(self) -> float:
        """The time from the start of its first run to the end of its last one."""
        return self.end - self.start

    @property
    def size(self) -> int:
        """How many ranks it had, as far as its runs tell."""
        return len(self.ranks)

    @property
    def idle(self) -> float:
        """The time of its ranks in which they had no run."""
        return max(0.0, self.size * self.length - self.busy)

    @property
    def idle_share(self) -> float:
        """That time as a share of all of its ranks' time."""
        return self.idle / (self.size * self.length) if self.length else 0.0


def workers_of(runs: Iterable[Reported]) -> dict[str, WorkerTime]:
    """Return the workers of runs that are timed, by their ids, the first one first.

    A run that holds several ranks is busy on each; they are those from its own on.
    """
    found: dict[str, WorkerTime] = {}
    for one in runs:
        assert one.record
        name, rank = one.lane
        if (worker := found.get(name)) is None:
            worker = found[name] = WorkerTime(one.record.host or "unknown", one.start)
        slots = one.run.settings.slots
        worker.start, worker.end = min(worker.start, one.start), max(worker.end, one.end)
        worker.runs += 1
        worker.busy += slots * one.seconds
        worker.ranks.update(range(rank, rank + slots))
    return dict(sorted(found.items(), key=lambda item: item[1].start))
