"""How long a cluster that works through many tasks is waited for: as long as those that are left become fewer."""

from __future__ import annotations

import time


class Backlog:
    """The tasks that are left. It is stuck when nothing has been done for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._least = float("inf")
        self._end = 0.0

    def is_stuck(self, left: int) -> bool:
        """Return whether it is, now that so many tasks are left."""
        now = time.monotonic()
        if left < self._least:
            self._least, self._end = left, now + self._seconds
        return now >= self._end
