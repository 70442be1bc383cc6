"""The attempts at a run that the store has: its outcome, those before it, and the attempts that were retried."""

from __future__ import annotations

import math
from typing import NamedTuple

from pydoit_sc.batch import task_of
from pydoit_sc.errors import UserError
from pydoit_sc.store import Outputs, Record


class Past(NamedTuple):
    """An attempt that has ended."""

    key: str  # of its output, which may lie in the history
    record: Record


def attempts_at(store: Outputs, key: str) -> list[Past]:
    """Return the attempts at a run that are known, the first one first; raises StoreError."""
    places = [*store.former(key), key]
    records = store.scan(places)
    found = [Past(place, records[place]) for place in places if place in records]
    return sorted(found, key=lambda past: past.record.started or (math.inf if past.key == key else 0.0))


def attempt_at(store: Outputs, key: str, number: int | None) -> str:
    """Return the key of an attempt's output, of a run's outcome for None; raises UserError where there are fewer attempts."""
    if number is None:
        return key
    known = attempts_at(store, key)
    if number > len(known):
        has = f"has {len(known):,}" if known else "has none"
        raise UserError(
            f"{task_of(key)}: expected the number of an attempt that has ended, found {number}; it {has}"
        )
    return known[number - 1].key
