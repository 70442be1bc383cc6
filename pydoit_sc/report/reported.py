"""A run as a report has it, with what the store knows of it, and sums over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydoit_sc.batch import Run, Stage, Status
from pydoit_sc.store import Record

_LATEST = 32e9  # seconds since the epoch: what is later, in the year 2984, is no time
_MOST_RANKS = 100_000
_MOST_CPU = 1e12  # seconds


class Lane(NamedTuple):
    """Where a run has executed: a rank of a worker."""

    worker: str
    rank: int


class Reported(NamedTuple):
    """A run with its status, and its outcome where it has one; `run.json` may have been written by anybody."""

    stage: Stage
    run: Run
    status: Status
    record: Record | None  # None while it executes, too
    start: float  # seconds since the epoch; 0: it is not known when it was executed
    seconds: float  # how long it took; 0: not known

    @property
    def task(self) -> str:
        """The name of its doit task."""
        return self.stage.task_name(self.run)

    @property
    def end(self) -> float:
        """When it ended, in seconds since the epoch, where that is known."""
        return self.start + self.seconds

    @property
    def memory(self) -> int:
        """Bytes at its peak; 0 where that is not known."""
        return max(0, self.record.memory) if self.record else 0

    @property
    def cpu(self) -> float:
        """Seconds of processor time; 0 where that is not known."""
        return self.record.cpu if self.record and 0 < self.record.cpu < _MOST_CPU else 0.0

    @property
    def lane(self) -> Lane:
        """Where it has executed, where it is known when; a worker is known by the beginning of its attempts' ids."""
        assert self.record
        rank = self.record.rank if self.record.rank in range(_MOST_RANKS) else 0
        return Lane(self.record.attempt.partition("-")[0] or self.record.host, rank or 0)


def report_of(stage: Stage, run: Run, status: Status, record: Record | None) -> Reported:
    """Return a run as a report has it."""
    if status is Status.RUNNING:
        record = None
    seconds = record.seconds if record else 0.0
    start = record.started if record and seconds and 0 < record.started < _LATEST else 0.0
    return Reported(stage, run, status, record, start, seconds)


def by_stage(runs: Iterable[Reported]) -> dict[str, list[Reported]]:
    """Return the runs of each stage, in the order of the batch."""
    found: dict[str, list[Reported]] = {}
    for one in runs:
        found.setdefault(one.stage.name, []).append(one)
    return found


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that this share of sorted values does not exceed.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([7], 0.95), quantile(range(1, 101), 0.95)
    (2, 7, 95)
    """
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]
