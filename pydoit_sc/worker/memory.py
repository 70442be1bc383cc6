"""Memory: end the runs that use more than they may, and start none while too little is available.

What runs use is looked at, not bounded by a control group: a worker may make those on few machines, and never in most containers.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping

from pydoit_sc.batch import Settings
from pydoit_sc.errors import UserError
from pydoit_sc.proc import resident_size
from pydoit_sc.sizes import show_size
from pydoit_sc.worker import cgroup
from pydoit_sc.worker.attempts import Attempt
from pydoit_sc.worker.process import Processes

EVERY = 0.5  # seconds between two looks
FREE_EVERY = 1.0  # seconds between two looks at what is available
_PART = 10  # looking takes at most one of so many parts of the worker's time


class MemoryWatch:
    """Looks at what is available, `least` bytes at least for a run to be started, and at the runs that have a limit.

    Raises UserError where the machine has less; `tell` is told why runs wait. Where nothing has a limit, nothing is looked at.
    """

    def __init__(self, least: int | None, tell: Callable[[str], None]) -> None:
        self.look_at: float | None = None  # at runs, by the monotonic clock; None: at no time
        self._least, self._tell, self._told = least, tell, False
        if least is not None and least > (total := cgroup.memory().total):
            raise UserError(
                f"expected `min_free_memory` of at most {show_size(int(total))}, the memory of this machine, "
                f"found {show_size(least)}"
            )

    def is_short(self) -> bool:
        """Return whether too little is available; tell it the first time."""
        if self._least is None or (available := cgroup.memory().available) >= self._least:
            return False
        if not self._told:
            self._told = True
            left = show_size(max(0, int(available)))
            self._tell(f"waiting for memory: {left} available, `min_free_memory` is {show_size(self._least)}")
        return True

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
