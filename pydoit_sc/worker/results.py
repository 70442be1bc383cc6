"""What a worker is given, and what it returns: its limits, and the result of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydoit_sc.ledger import Work
from pydoit_sc.outcomes.kinds import TAIL
from pydoit_sc.store import Record, Store, StoreError
from pydoit_sc.store.layout import STDERR


class Result(NamedTuple):
    """The end of a run: with a record in the store, ours or another worker's, or else with an error."""

    work: Work
    record: Record | None
    executed: bool = True  # False: it was not started here, or the outcome is another worker's
    seconds: float = 0.0
    stderr_tail: bytes | None = b""  # of a failed run; None: not read
    left_behind: int = 0  # processes that it has left, and that were killed
    error: str = ""


def result_of_another(store: Store, work: Work, record: Record) -> Result:
    """Return the end of a run that another worker has published; what is not read of its stderr ends no worker."""
    tail: bytes | None = b""
    if record.code:
        try:
            tail = store.tail(work.run.key, STDERR, TAIL)
        except StoreError:
            tail = None
    return Result(work, record, executed=False, stderr_tail=tail)


class Limits(NamedTuple):
    """The limits of a worker."""

    nprocs: int
    max_failures: int | None = None  # no further run starts after so many
    gpus: Sequence[str] | None = None  # rank r's, by r
    scratch: str | None = None
    min_free_memory: int | None = None  # bytes that must be available for a run to be started
    ends_at: float | None = None  # seconds since the epoch, when the machine is taken away
