"""The sessions of a worker's live runs, in memory that outlives the worker: its guardian has it too.

A run that clears its environment is known to the guardian by its session alone. Memory, and not a pipe or a file,
since it costs a run next to nothing.
"""

from __future__ import annotations

import mmap
import os

from pydoit_sc.worker.guardian import MOST_SESSIONS

_SIZE = 4  # bytes of a pid


class Sessions:
    """A table of pids, 0 where there is none; raises OSError."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("pydoit-sc-sessions")
        os.ftruncate(self.fd, MOST_SESSIONS * _SIZE)
        self._map = mmap.mmap(self.fd, MOST_SESSIONS * _SIZE)
        self._table = memoryview(self._map).cast("i")
        self._places: dict[int, int] = {}
        self._free: list[int] = []

    def add(self, pid: int) -> None:
        """Add a session; a full table ignores it."""
        place = self._free.pop() if self._free else len(self._places)
        if place < MOST_SESSIONS:
            self._places[pid] = place
            self._table[place] = pid

    def remove(self, pid: int) -> None:
        """Remove a session: its pid may be used again."""
        place = self._places.pop(pid, None)
        if place is not None:
            self._table[place] = 0
            self._free.append(place)

    def close(self) -> None:
        """Free the memory; the guardian keeps its own view."""
        self._table.release()
        self._map.close()
        os.close(self.fd)
