"""The order of an execution: which runs may start, as those that they come after are completed, and why others do not.

Each waiting run knows how many it waits for, and each of these which runs wait for it. Runs that others come after
together (`RunSet`) count once for all of them, so a stage after a stage costs a number, not a product.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from pydoit_sc.batch import Run, RunSet, Stage, stage_of


@dataclass(slots=True, eq=False, repr=False)
class _Wait:
    """A number of runs that are not completed yet, and the runs that wait for all of them."""

    left: int = 1
    waiting: list[Run] = field(default_factory=list)


class Order:
    """The runs to execute that wait for others.

    order = Order([(align, runs), (call, runs)])  # stages, each behind those that it comes after, and their runs to execute
    order.waits(run)      # True: it is given out by one of the next two
    order.succeeded(run)  # the runs that may start now
    order.failed(run)     # the runs that will not start, since they wait for this one
    """

    def __init__(self, stages: Sequence[tuple[Stage, Sequence[Run]]]) -> None:
        self._left: dict[str, int] = {}  # by key of a waiting run: how many waits are not over
        self._single: dict[str, _Wait] = {}  # by key of a run that others wait for
        self._whole: dict[str, _Wait] = {}  # by stage
        self._grouped: dict[int, _Wait] = {}  # by the id of RunSet
        self._groups_of: dict[str, list[_Wait]] = {}  # by key of a run
        awaited = {name for stage, _ in stages for name in stage.after}
        pending = {stage.name: {run.key for run in runs} for stage, runs in stages if stage.name in awaited}
        for stage, runs in stages:
            if not stage.after:
                continue
            for run in runs:
                waits = [wait for one in run.after if (wait := self._wait(one, pending)).left]
                for wait in waits:
                    wait.waiting.append(run)
                if waits:
                    self._left[run.key] = len(waits)
        self._waiting = frozenset(self._left)  # at the beginning

    @property
    def is_waiting(self) -> bool:
        """Whether a run waits for another one."""
        return bool(self._left)

    def waits(self, run: Run) -> bool:
        """Return whether a run waits for another one, or has done so until it was given out."""
        return run.key in self._waiting

    def succeeded(self, run: Run) -> list[Run]:
        """Return the runs that may start now that this one is completed."""
        released = []
        for wait in self._waits_for(run):
            wait.left -= 1
            for one in wait.waiting if not wait.left else ():
                left = self._left.pop(one.key, 0) - 1
                if left > 0:
                    self._left[one.key] = left
                elif left == 0:
                    released.append(one)
        return released

    def failed(self, run: Run) -> list[Run]:
        """Return the runs that will not start, since they come after this one, or after one that does."""
        held, lost = [], [run]
        while lost:
            for wait in self._waits_for(lost.pop()):
                waiting, wait.waiting = wait.waiting, []
                new = [one for one in waiting if self._left.pop(one.key, 0)]
                held += new
                lost += new
        return held

    def _wait(self, one: Run | RunSet, pending: Mapping[str, Set[str]]) -> _Wait:
        """Return where a run enters itself that comes after these; with nothing left where they are completed.

        `pending` are the keys of the runs to execute, by stage.
        """
        if isinstance(one, Run):
            is_pending = one.key in pending.get(stage_of(one.key), ())
            return self._single.setdefault(one.key, _Wait()) if is_pending else _Wait(0)
        left = pending.get(one.stage, frozenset())
        if one.whole:
            return self._whole.setdefault(one.stage, _Wait(len(left)))
        if id(one) not in self._grouped:
            members = [run.key for run in one.members if run.key in left]
            wait = self._grouped[id(one)] = _Wait(len(members))
            for key in members:
                self._groups_of.setdefault(key, []).append(wait)
        return self._grouped[id(one)]

    def _waits_for(self, run: Run) -> Iterator[_Wait]:
        """Yield, once, the waits that a run is a part of."""
        if not self._left:  # no run waits any more
            return
        if (single := self._single.pop(run.key, None)) is not None:
            yield single
        if (whole := self._whole.get(stage_of(run.key))) is not None:
            yield whole
        yield from self._groups_of.pop(run.key, ())


class Causes:
    """Why runs are not executed: for each the failed run that it comes after, or that one before it comes after.

    `failed` are the keys of those that have failed, or will not be completed for another reason.
    """

    def __init__(self, failed: Container[str]) -> None:
        self._failed = failed
        #: Many come after the same ones, which are looked at once.
        self._known: dict[int | str, Run | None] = {}

    def of(self, run: Run) -> Run | None:
        """Return the failed run that a run waits for; None if there is none."""
        return next((cause for one in run.after if (cause := self._cause(one))), None)

    def _cause(self, one: Run | RunSet) -> Run | None:
        known = id(one) if isinstance(one, RunSet) else one.key
        if known not in self._known:
            if isinstance(one, RunSet):
                self._known[known] = next((cause for run in one.members if (cause := self._cause(run))), None)
            else:
                self._known[known] = one if one.key in self._failed else self.of(one)
        return self._known[known]
