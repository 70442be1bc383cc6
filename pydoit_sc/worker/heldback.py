"""Attempts that have ended and wait before they count.

A stop signal that goes to all processes of a machine may end a run a moment before the worker hears of it. So an
attempt that dies of such a signal, which the worker did not send, is held back for that moment, with its rank, and
dropped if the worker is stopped meanwhile. An attempt that is dropped is no failure, and uses up no retry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set

from pydoit_sc.worker.attempts import Attempt
from pydoit_sc.worker.process import STOP_SIGNALS, Exit

HOLD = 1.0  # seconds for which an attempt that died of a stop signal waits for the worker's own
STOPPED_CODES = frozenset(128 + number for number in STOP_SIGNALS)

Ended = tuple[Attempt, Exit]


class HeldBack:
    """Ended attempts, each with the time by the monotonic clock until which it waits."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Ended]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next(self) -> float | None:
        """When the first of them counts; None if there is none."""
        return self._waiting[0][0] if self._waiting else None

    def holds(self, attempt: Attempt, exit_: Exit, code: int) -> bool:
        """Hold an attempt back that may have died of the worker's own stop signal; return whether it is."""
        held = code in STOPPED_CODES and not attempt.timed_out
        if held:
            self._waiting.append((exit_.clock + HOLD, (attempt, exit_)))
        return held

    def add(self, when: float, ended: Ended) -> None:
        """Add an attempt that was refused, and counts from then on."""
        self._waiting.appendleft((when, ended))

    def drop(self, keys: Set[str]) -> None:
        """Drop the attempts of these runs, when they are due."""
        for _, (attempt, _) in self._waiting:
            attempt.dropped = attempt.dropped or attempt.work.run.key in keys

    def due(self, now: float) -> list[Ended]:
        """Remove and return those that count now."""
        due = []
        while self._waiting and self._waiting[0][0] <= now:
            due.append(self._waiting.popleft()[1])
        return due

    def clear(self) -> None:
        """Drop all of them."""
        self._waiting.clear()
