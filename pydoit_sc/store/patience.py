"""How long a store that cannot be reached is waited for: by all that is to be published together, not by each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from pydoit_sc.retries import pauses

_FIRST, _LONGEST = 0.5, 10.0  # seconds between two tries
_RECENT = 10.0  # seconds in which a failure answers for others, once the patience is over

T = TypeVar("T")


class Patience:
    """The patience of one worker; its methods are for any thread."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: float | None = None  # of the failures, when nothing has succeeded after the first
        self._failed: tuple[float, Exception] | None = None  # the last one, once the patience was over
        self._ended = Event()

    @property
    def is_tried(self) -> bool:
        """Whether the last that was heard of the store was a failure."""
        return self._since is not None

    def has_ended(self) -> bool:
        """Return whether the worker has been told to stop."""
        return self._ended.is_set()

    def end(self) -> None:
        """Wait no longer: the worker has been told to stop."""
        self._ended.set()

    def call(self, call: Callable[[], T], may_pass: Callable[[Exception], bool]) -> T:
        """Return what `call` returns; call it again while it raises what may pass and the patience lasts.

        Raises the last error. Once the patience is over, one that is a few seconds old is raised without a call.
        """
        waits = pauses(sys.maxsize, _FIRST, _LONGEST)
        while True:
            if self._failed and time.monotonic() - self._failed[0] < _RECENT:
                raise self._failed[1]
            try:
                answer = call()
            except Exception as error:  # libraries have their own
                if not may_pass(error):
                    raise
                now = time.monotonic()
                self._since = self._since or now
                if self.has_ended() or now - self._since >= self.seconds:
                    self._failed = now, error
                    raise
            else:
                self._since = self._failed = None
                return answer
            self._ended.wait(next(waits))
