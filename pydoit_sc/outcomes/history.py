"""The attempts at a run that the store has: its outcome, those before it, and the attempts that were retried."""

from __future__ import annotations

import math
from typing import NamedTuple

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
