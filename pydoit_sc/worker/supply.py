"""What a worker starts next: runs that it holds, so that no other worker executes them meanwhile.

A run that another worker executes is looked at again, at growing intervals, until that one has published it or is gone.
One whose command has started this worker, or submitted it, may not end before it, so that is left out.
Where to hold costs nothing, a run is held when it starts: so a hold that a dead worker has left is of a run that it was
executing. Where it costs requests, many runs are held at once, ahead of their start, and a thread asks: the loop must not wait.
Where runs are short, it asks for the next ones when half of them have started, so that no rank waits for the answer.
Where they turn out to be long, all but as many as execute at once are given back, for other workers.
"""

from __future__ import annotations

import heapq
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from pydoit_sc.errors import reason
from pydoit_sc.ledger import Work
from pydoit_sc.store import HeldError, Publisher, Record, StoreError, stays
from pydoit_sc.threads import aside
from pydoit_sc.worker.attempts import OUTPUT_PATH

_FIRST, _LONGEST = 0.1, 2.0  # seconds between two looks at a run that another worker executes
_QUICK = 5.0  # seconds; of runs that all start within that, more are held at once the next time
_LONG = 10.0  # seconds in which no run has started: those that execute are long


class OuterRunError(StoreError):
    """A run is being executed, and its command has led to this worker: it concerns this run alone."""


@dataclass(slots=True, eq=False, repr=False)
class _Asked:
    """Runs that the store is asked to hold, each with the pause before it is asked again."""

    works: list[tuple[Work, float]]
    answers: Mapping[str, int | StoreError] = field(default_factory=dict)
    is_done: bool = False


class Supply:
    """The runs that are left to start; None from `works` means that none is ready before one has ended.

    `size` runs are held at once at first, where the store lets more than one be; `wake` wakes the loop.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (what it stands between)
        self,
        works: Iterator[Work | None],
        store: Publisher,
        worker: str,
        tell: Callable[[str], None],
        wake: Callable[[], None],
        size: int,
    ) -> None:
        self._works, self._store, self._worker, self._tell, self._wake = works, store, worker, tell, wake
        self.cancelled: Set[str] = frozenset()  # keys of runs that are not given out
        self._ranks = self._size = size
        #: When runs were last asked for, and when one was last taken.
        self._asked_at = self._taken_at = time.monotonic()
        self._asked: _Asked | None = None
        self._ready: deque[tuple[Work, int | StoreError, float]] = deque()
        self._given_back: deque[Work] = deque()
        self._next: tuple[int | StoreError, float] = 0, _FIRST  # of the run that was returned last
        self._kept_until: float | None = None
        #: A heap: when to look, a number of its own, the pause after that, and the run.
        self._waiting: list[tuple[float, int, float, Work]] = []
        self._count, self._told = 0, set[str]()

    @property
    def look_at(self) -> float | None:
        """When to look again at a run that is kept, or that another worker executes; None if there is none."""
        if self._ready:
            return self._kept_until
        return self._waiting[0][0] if self._waiting and not self._asked else None

    @property
    def is_waiting(self) -> bool:
        """Whether a run is left that is kept, that another worker executes, or that the store is asked for."""
        return bool(self._ready or self._waiting or self._asked)

    def next(self) -> Work | None:
        """Return the next run, None while all that are left must wait; raises StopIteration where none is left."""
        while True:
            while not self._ready:
                if self._asked is None:
                    works = self._gather()
                    if not works:
                        return None
                    self._ask(_Asked(works))
                if not (self._ready or self._hear()):
                    return None
            work, answer, pause = self._ready.popleft()
            self._ask_ahead()
            if work.run.key not in self.cancelled:
                self._next = answer, pause
                return work
            if not isinstance(answer, StoreError):
                self._store.release(work.run.key)

    def keep(self, work: Work, until: float | None) -> None:
        """Give out the run that is next again, before all others; `until`: when to look, None: when a rank comes free."""
        self._ready.appendleft((work, *self._next))
        self._kept_until = until

    def give_back(self) -> None:
        """Release all but the next runs where those that execute are long."""
        self._hear()
        if len(self._ready) <= self._ranks or time.monotonic() - self._taken_at < _LONG:
            return
        while len(self._ready) > self._ranks:
            work, answer, _ = self._ready.pop()
            if not isinstance(answer, StoreError):
                self._store.release(work.run.key)
            self._given_back.appendleft(work)
        self._size = self._ranks

    def _gather(self) -> list[tuple[Work, float]]:
        """Return the runs to ask for: those that are to be looked at again, else new ones."""
        now = time.monotonic()
        works: list[tuple[Work, float]] = []
        while self._waiting and self._waiting[0][0] <= now and len(works) < self._store.window:
            _, _, pause, work = heapq.heappop(self._waiting)
            works.append((work, pause))
        if works:
            return works
        size = min(self._store.window, 2 * self._size if self._is_quick(now) else self._size)
        try:
            while len(works) < size and (new := self._draw()) is not None:
                works.append((new, _FIRST))
        except StopIteration:
            if not (works or self._waiting):
                raise
        if works:
            self._size, self._asked_at = size, now
        return works

    def _draw(self) -> Work | None:
        return self._given_back.popleft() if self._given_back else next(self._works)

    def _is_quick(self, now: float) -> bool:
        """Return whether runs start so soon after they were asked for that more are worth their requests."""
        return now - self._asked_at < _QUICK * (1 - len(self._ready) / self._size)

    def _ask_ahead(self) -> None:
        """Ask for the next runs if half of the last ones are left, and will soon have started, too."""
        if self._asked is None and 0 < 2 * len(self._ready) < self._size and self._is_quick(time.monotonic()):
            with suppress(StopIteration):
                if works := self._gather():
                    self._ask(_Asked(works))

    def _ask(self, asked: _Asked) -> None:
        if self._store.window == 1:
            self._ready += [(work, 0, pause) for work, pause in asked.works]
            return
        self._asked = asked
        try:
            aside(partial(self._hold_aside, asked))
        except OSError:
            self._hold(asked)

    def _hold_aside(self, asked: _Asked) -> None:
        self._hold(asked)
        self._wake()

    def _hold(self, asked: _Asked) -> None:
        keys = [work.run.key for work, _ in asked.works]
        try:
            asked.answers = self._store.hold(self._worker, keys)
        except Exception as error:  # a thread that died of it would be waited for without end
            failed = error if isinstance(error, StoreError) else StoreError(reason(error))
            asked.answers = dict.fromkeys(keys, failed)
        asked.is_done = True

    def _hear(self) -> bool:
        """Take up the answer of the store; return False where there is none yet."""
        if self._asked is None or not self._asked.is_done:
            return False
        for work, pause in self._asked.works:
            answer = _answer(self._asked.answers, work)
            if isinstance(answer, HeldError):
                self._look_again(work, str(answer), pause)
            else:
                self._ready.append((work, answer, pause))
        self._asked = None
        return True

    def take(self, work: Work) -> tuple[Record | None, int]:
        """Take the run that is next; return its outcome if another worker has published it meanwhile.

        The second value is the number of workers that have died while they executed it. Raises HeldError, OuterRunError,
        StoreError.
        """
        answer, self._taken_at = self._next[0], time.monotonic()
        if self._store.window == 1:
            answer = _answer(self._store.hold(self._worker, [work.run.key]), work)
        if isinstance(answer, StoreError):
            raise answer
        now = self.outcome(work)
        if now is not None:
            self._store.release(work.run.key)
        return now, answer

    def wait(self, work: Work, reason: str) -> None:
        """Look at the run that is next again later."""
        self._look_again(work, reason, self._next[1])

    def _look_again(self, work: Work, reason: str, pause: float) -> None:
        self._count += 1
        when = time.monotonic() + pause * random.uniform(0.5, 1.5)  # two may have asked at the same moment
        heapq.heappush(self._waiting, (when, self._count, min(2 * pause, _LONGEST), work))
        if reason not in self._told:
            self._told.add(reason)
            self._tell(f"waiting for {work.task}: {reason}")

    def outcome(self, work: Work) -> Record | None:
        """Return the outcome that another worker has published since the plan was made: a failure, too.

        Raises HeldError, StoreError.
        """
        now = self._store.peek(work.run.key)
        known = work.known.attempt if work.known else None
        if now is None or stays(now, known, work.fingerprint):
            return now
        failed = now.code and now.attempt not in ("", known) and now.fingerprint == work.fingerprint
        return now if failed else None

    def begin_anew(self, work: Work, reason: str) -> None:
        """Look again later at a run that has been executed here, and may not be held any more."""
        self._store.release(work.run.key)
        self._look_again(work, reason, _FIRST)


def _answer(answers: Mapping[str, int | StoreError], work: Work) -> int | StoreError:
    """Return what a store answers on a run; where it is held by what has led to this worker, that it is not waited for."""
    answer = answers[work.run.key]
    if isinstance(answer, HeldError) and work.output == os.environ.get(OUTPUT_PATH):
        return OuterRunError("it has started or submitted this worker itself, and is not waited for")
    return answer
