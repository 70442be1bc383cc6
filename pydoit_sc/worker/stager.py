"""Bring finished attempts to the store on threads, so that waiting for a disk or a network delays no run.

Attempts that end close together are staged as one group where the store stages one group at a time (a file
system, which is synced once a group); elsewhere each is staged by itself, several at once. The commits are the
caller's: they are quick, and threads that take turns at many quick calls cost more than the calls.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pydoit_sc.errors import reason
from pydoit_sc.store import Finished, Publisher, Staged, StoreError
from pydoit_sc.threads import aside

MOST = 512  # attempts that wait for a slow store; their outputs take memory, or space in the scratch folder
GROUP_WINDOW = 0.05  # seconds that the first attempt of a group waits for others

T = TypeVar("T")


class Stager(Generic[T]):
    """Threads that stage attempts; all methods are for one thread, `wake` is called by the staging ones."""

    def __init__(self, store: Publisher, wake: Callable[[], None]) -> None:
        self.pending = 0  # attempts that were put and not yet taken
        self._store = store
        self._wake = wake
        self._in: queue.SimpleQueue[tuple[Finished, T] | None] = queue.SimpleQueue()
        self._out: queue.SimpleQueue[tuple[Staged | StoreError, T]] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._threads: list[threading.Thread] = []

    def put(self, finished: Finished, item: T) -> None:
        """Have an attempt staged; `item` comes back with the answer. Raises OSError where no thread can be started."""
        if len(self._threads) < min(self._store.stagers, self.pending + 1):
            self._threads.append(aside(self._work))
        self.pending += 1
        self._in.put((finished, item))

    @property
    def is_full(self) -> bool:
        """Whether so many attempts wait for the store that no further run should start."""
        return self.pending >= MOST

    def take(self, most: int) -> list[tuple[Staged | StoreError, T]]:
        """Return attempts whose staging has ended since the last call."""
        taken: list[tuple[Staged | StoreError, T]] = []
        while len(taken) < most and not self._out.empty():
            taken.append(self._out.get())
        self.pending -= len(taken)
        return taken

    def hurry(self, now: bool) -> None:
        """Set whether the loop waits for outcomes, so that a group does not wait for more attempts."""
        if now != self._hurry.is_set():
            (self._hurry.set if now else self._hurry.clear)()

    def close(self) -> None:
        """Return when the threads have ended."""
        self.hurry(True)
        for _ in self._threads:
            self._in.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (first := self._in.get()) is not None:
            group = [first]
            if self._store.stagers == 1:
                self._hurry.wait(GROUP_WINDOW)
                for _ in range(self._in.qsize()):
                    more = self._in.get()
                    if more is None:
                        self._in.put(None)
                        break
                    group.append(more)
            for answer in zip(self._stage([finished for finished, _ in group]), group, strict=True):
                self._out.put((answer[0], answer[1][1]))
            self._wake()

    def _stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        try:
            return self._store.stage(attempts)
        except (StoreError, OSError) as error:
            return [StoreError(reason(error))] * len(attempts)
        except Exception as error:  # a thread that died of it would be waited for without end
            return [StoreError(f"{type(error).__name__}: {error}")] * len(attempts)
