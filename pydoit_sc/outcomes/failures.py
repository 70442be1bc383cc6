"""When failures end a batch: as many as `max_failures` allows, or else so many alike that the other runs would fail, too.

Runs that fail alike while none is completed lack something that all of them need: a program, a module, a folder. Where
a run of them is completed, before or now, the others may well be, and only `max_failures` counts.
"""

from __future__ import annotations

from collections import Counter

from pydoit_sc.ends import briefly
from pydoit_sc.errors import printable
from pydoit_sc.outcomes.kinds import Failure, key_of, telling_line
from pydoit_sc.plurals import counted
from pydoit_sc.store.layout import Record

ALIKE = 20  # failures of one kind
_COMPARED = 20 * ALIKE  # failures, so that what is remembered of them is bounded
_SHOWN = 100  # characters of a line of stderr
OPTION = "use --max-failures 100%"  # of `run` and `submit`
_KEY = 'set `max_failures` to "100%" beside the runs'  # all that a worker takes, which has a file alone


class Failures:
    """Counts failures; `most` is what `max_failures` allows, None where it is not given."""

    def __init__(self, most: int | None) -> None:
        self.count = 0
        self._most = most
        self._alike = ""  # the kind of which so many are, in words
        self._kinds: Counter[object] = Counter()
        self.compares = most is None  # whether failures are compared: no run is completed

    @property
    def too_many(self) -> bool:
        """Whether no further run is to be started."""
        return bool(self._alike) or (self._most is not None and self.count >= self._most)

    def why(self, bound: str = "`max_failures`", remedy: str = _KEY) -> str:
        """Return why no further run is started; `bound` is what has set the number that is allowed.

        `remedy` is what lets a batch continue whose failures are alike.
        """
        if self._alike:
            return (
                f"stopped: {ALIKE} runs failed in the same way and none has completed: {self._alike}; "
                f"{remedy} to continue anyway"
            )
        return f"stopped after {counted(self.count, 'failure')} ({bound})"

    def add(self) -> bool:
        """Count a failure, and return `too_many`."""
        self.count += 1
        return self.too_many

    def has_completed(self) -> None:
        """A run is completed, so the others need not fail as some have."""
        self.compares = False
        self._kinds.clear()

    def see_other(self, record: Record) -> None:
        """Take up an outcome of another worker, whose failures are its own business."""
        if not record.code:
            self.has_completed()

    def see(self, task: str, record: Record, tail: bytes) -> bool:
        """Compare an outcome with those before, and return `too_many`; `tail` is the end of its stderr."""
        if not record.code:
            self.has_completed()
        elif self.compares:
            key = key_of(Failure(task, record.code, record.reason, tail))
            self._kinds[key] += 1
            if self._kinds[key] == ALIKE:
                line = printable(telling_line(tail))[:_SHOWN]
                self._alike = briefly(record.code, record.reason) + (f", `{line}`" if line else "")
            self.compares = not self._alike and self._kinds.total() < _COMPARED
        return self.too_many
