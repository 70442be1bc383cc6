"""Memory: end the runs that use more than they may.

It is looked at, not bounded by a control group: a worker may make those on few machines, and never in most containers.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping

from pydoit_sc.batch import Settings
from pydoit_sc.proc import resident_size
from pydoit_sc.worker.attempts import Attempt
from pydoit_sc.worker.process import Processes

EVERY = 0.5  # seconds between two looks
_PART = 10  # looking takes at most one of so many parts of the worker's time


class MemoryLimits:
    """Looks at the runs that have a limit, and only while one of them is executing."""

    def __init__(self) -> None:
        self.look_at: float | None = None  # by the monotonic clock; None: at no time

    def begin(self, settings: Settings, now: float) -> None:
        """Look at a run from now on, if it has a limit."""
        if settings.memory is not None and self.look_at is None:
            self.look_at = now + EVERY

    def enforce(self, live: Mapping[int, Attempt], processes: Processes, now: float) -> None:
        """Kill those of the live runs, by pid, that use more than they may, if it is time to look; raises OSError."""
        if self.look_at is None or now < self.look_at:
            return
        limits = {pid: most for pid, a in live.items() if (most := a.work.run.settings.memory) is not None}
        if not limits:
            self.look_at = None
            return
        began = time.monotonic()
        for pid, sizes in processes.sizes(limits).items():
            if is_larger(sizes, limits[pid]):
                live[pid].over_memory = True
                processes.signal(signal.SIGKILL, [pid])
        self.look_at = now + max(EVERY, _PART * (time.monotonic() - began))


def is_larger(sizes: Mapping[int, int], most: int) -> bool:
    """Return whether processes, by pid, have more memory together than so many bytes.

    What several share is counted once. That takes long, so it is done only where the quick sum is too large.
    """
    if sum(sizes.values()) <= most:
        return False
    shares = {pid: resident_size(pid) for pid in sizes}
    return sum(sizes[pid] if share is None else share for pid, share in shares.items()) > most
