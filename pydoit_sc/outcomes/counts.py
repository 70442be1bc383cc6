"""How an execution of a batch has ended, in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydoit_sc.times import clock


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of the runs that were to be executed have ended how.

    >>> Counts(completed=3, failed=1, skipped=96, not_executed=0, seconds=62.4)
    3 completed, 1 failed, 96 skipped, in 1:02
    """

    completed: int
    failed: int
    skipped: int  # that were up to date, or are ignored
    not_executed: int  # that have got no outcome: not started or published, waiting for such a one or a failed one, or left
    seconds: float  # that it took
    why: tuple[str, ...] = ()  # what was told at its end: why it ended early, what could not be started

    def __repr__(self) -> str:
        figures = {
            "completed": self.completed,
            "failed": self.failed,
            "skipped": self.skipped,
            "not executed": self.not_executed,
        }
        shown = [f"{count:,} {word}" for word, count in figures.items() if count > 0]
        return f"{', '.join(shown) or 'no runs'}, in {clock(self.seconds)}"


def together(counts: Iterable[Counts]) -> Counts:
    """Return the counts of several executions as those of one.

    >>> together([Counts(3, 0, 0, 0, 60.0), Counts(1, 1, 0, 0, 2.0, ("stopped",))])
    4 completed, 1 failed, in 1:02
    """
    found = list(counts)
    return Counts(
        sum(one.completed for one in found),
        sum(one.failed for one in found),
        sum(one.skipped for one in found),
        sum(one.not_executed for one in found),
        sum(one.seconds for one in found),
        tuple(line for one in found for line in one.why),
    )
