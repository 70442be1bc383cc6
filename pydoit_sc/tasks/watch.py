"""How far a submission is, from what the store says of its runs, until they have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydoit_sc.split import Item
from pydoit_sc.store import Record, Store
from pydoit_sc.tasks.reporter import Bar, Progress

_FIRST, _LONGEST = 0.2, 5.0  # seconds between two looks: few while nothing goes on


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of a submission, and what was in the store before."""

    items: Sequence[Item]
    before: Mapping[str, Record]
    always: bool  # completed runs are executed again

    def ended(self, item: Item, record: Record, *, last: bool) -> bool:
        """Say whether a run has ended: its outcome is another one than before, or none was needed.

        `sc batch` leaves nothing that tells two outcomes apart: where it has worked, the `last` look takes what there is.
        """
        if record != self.before.get(item[1].key):
            return True
        current = record.code == 0 and record.fingerprint in ("", item[2])
        return (current and not self.always) or (last and not record.attempt)


class Watch:
    """Shows how the runs of a submission end."""

    def __init__(self, store: Store, runs: Runs, bar: Bar) -> None:
        self._store, self._runs, self._bar = store, runs, bar
        self.left = {item[1].key: item for item in runs.items}
        self.progress = Progress()
        self.progress.to_execute = len(runs.items)

    def look(self, *, last: bool = False) -> None:
        """Take note of what has ended; raises StoreError."""
        records = self._store.scan(self.left)
        for key, record in records.items():
            item = self.left[key]
            if self._runs.ended(item, record, last=last):
                del self.left[key]
                self._count(item, record)
        self.progress.running = len(self.left.keys() & self._store.running().keys())
        self._bar.update(self.progress)

    def until_ended(self, active: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> None:
        """Look until all runs have ended, or what executes them has; raises StoreError."""
        delay = _FIRST
        while self.left:
            alive = active()  # asked first: what ends after this is seen by the look that follows
            self.look(last=not alive)
            if not alive:
                return
            if self.left:
                sleep(delay)
                delay = min(1.3 * delay, _LONGEST)

    def close(self) -> None:
        """Show the last figures."""
        self.progress.running = 0
        self._bar.close(self.progress)

    def _count(self, item: Item, record: Record) -> None:
        stage, run, _ = item
        if record.code == 0:
            self.progress.done += 1
        else:
            self.progress.failed += 1
            self._bar.line(f"failed {stage.task_name(run)}: status code {record.code}")
