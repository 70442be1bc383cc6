"""Read how runs have failed: their records are known, the ends of their stderr are read from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pydoit_sc.batch import Run, Stage
from pydoit_sc.outcomes.kinds import TAIL, Failure
from pydoit_sc.sidebyside import side_by_side
from pydoit_sc.store import Record, Store, UnreadableError
from pydoit_sc.store.layout import STDERR

READ = 2000  # failed runs whose stderr is read


class Failed(NamedTuple):
    """A run that has failed."""

    task: str
    key: str
    record: Record

    def failure(self, tail: bytes | None = None) -> Failure:
        """Return how it has failed, given the end of its stderr."""
        return Failure(self.task, self.record.code, self.record.reason, tail)


def failed_among(runs: Iterable[tuple[Stage, Run]], records: Mapping[str, Record]) -> list[Failed]:
    """Return those of the runs that have failed, as these records say, by key."""
    return [
        Failed(stage.task_name(run), run.key, record)
        for stage, run in runs
        if (record := records.get(run.key)) and record.code
    ]


def read_failures(store: Store, failed: Sequence[Failed], at_most: int | None = None) -> Iterator[Failure]:
    """Yield how runs have failed; stderr is read of so many of them, READ if not said."""
    keys = (one.key for one in failed[: READ if at_most is None else at_most])
    tails = side_by_side(partial(_tail, store), keys, store.stagers)
    for one in failed:
        yield one.failure(next(tails, None))


def _tail(store: Store, key: str) -> bytes | None:
    """Return the end of a run's stderr; None where it is closed to us."""
    try:
        return store.tail(key, STDERR, TAIL)
    except UnreadableError:
        return None
