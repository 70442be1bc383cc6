"""Read how runs have failed: their records are known, the ends of their stderr are read from the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pydoit_sc.outcomes.kinds import TAIL, Failure
from pydoit_sc.outcomes.sidebyside import side_by_side
from pydoit_sc.store import Record, Store, UnreadableError
from pydoit_sc.store.layout import STDERR

READ = 2000  # failed runs whose stderr is read


def read_failures(
    store: Store, failed: Sequence[tuple[str, str, Record]], at_most: int | None = None
) -> Iterator[Failure]:
    """Yield failed runs, given by name, key and record; stderr is read of so many of them, READ if not said."""
    keys = (key for _, key, _ in failed[: READ if at_most is None else at_most])
    tails = side_by_side(partial(_tail, store), keys, store.stagers)
    for name, _, record in failed:
        yield Failure(name, record.code, record.reason, next(tails, None))


def _tail(store: Store, key: str) -> bytes | None:
    """Return the end of a run's stderr; None where it is closed to us."""
    try:
        return store.tail(key, STDERR, TAIL)
    except UnreadableError:
        return None
