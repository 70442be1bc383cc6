"""Parts of a batch: chosen runs, and all that they come after, as stages that have only these; and those that are to be executed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from operator import attrgetter

from pydoit_sc.batch import Batch, Run, RunSet, Stage, stage_of


def in_order(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages in an order in which each follows those that it comes `after`."""
    by_name = {stage.name: stage for stage in stages}
    graph = {stage.name: [name for name in stage.after if name in by_name] for stage in stages}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]


def with_earlier(batch: Batch, chosen: Iterable[tuple[Stage, Run]]) -> list[Stage]:
    """Return the chosen runs and all that they come after, as stages that have only these runs, in their order."""
    wanted: dict[str, dict[str, Run]] = {}
    seen: set[int] = set()

    def want(stage: str, runs: Iterable[Run]) -> None:
        have = wanted.setdefault(stage, {})
        have.update((run.key, run) for run in runs)

    for stage, run in chosen:
        want(stage.name, (run,))
    for stage in reversed(in_order(batch.stages)):
        for run in wanted.get(stage.name, {}).values():
            for one in run.after:
                if isinstance(one, Run):
                    want(stage_of(one.key), (one,))
                elif id(one) not in seen:
                    seen.add(id(one))
                    want(one.stage, one.members)
    return _parts(batch, wanted)


def without_earlier(batch: Batch, chosen: Iterable[tuple[Stage, Run]]) -> list[Stage]:
    """Return the chosen runs as stages that have only these runs."""
    wanted: dict[str, dict[str, Run]] = {}
    for stage, run in chosen:
        wanted.setdefault(stage.name, {})[run.key] = run
    return _parts(batch, wanted)


def _parts(batch: Batch, wanted: Mapping[str, Mapping[str, Run]]) -> list[Stage]:
    return [
        stage
        if len(wanted[stage.name]) == len(stage.runs)
        else stage._replace(runs=sorted(wanted[stage.name].values(), key=attrgetter("position")))
        for stage in batch.stages
        if stage.name in wanted
    ]


class Busy:
    """The runs that are going to be executed, as far as others come after them."""

    def __init__(self) -> None:
        #: By stage: for each run, by its position, 1 where it is one of them.
        self._marks: dict[str, bytearray] = {}
        #: By the id of a RunSet: the first of it that is going to be executed.
        self._first: dict[int, Run | None] = {}

    def __bool__(self) -> bool:
        return bool(self._marks)

    def add(self, run: Run) -> None:
        """Add a run; all runs of a stage are added before a run that comes after one of them is looked at."""
        marks = self._marks.setdefault(stage_of(run.key), bytearray())
        marks.extend(bytes(max(0, run.position + 1 - len(marks))))
        marks[run.position] = 1

    def before(self, run: Run) -> Run | None:
        """Return the first run to execute that a run comes after, if there is one."""
        if not self._marks:
            return None
        found = (one if isinstance(one, Run) else self._first_of(one) for one in run.after)
        return next((one for one in found if one is not None and self._has(one)), None)

    def _has(self, run: Run) -> bool:
        marks = self._marks.get(stage_of(run.key), b"")
        return run.position < len(marks) and bool(marks[run.position])

    def _first_of(self, runs: RunSet) -> Run | None:
        if id(runs) not in self._first:
            self._first[id(runs)] = next(filter(self._has, runs.members), None)
        return self._first[id(runs)]
