"""The tasks that `list` shows: each is made when its turn comes, since there may be a million."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from doit.task import Task

from pydoit_sc.batch import Run, Stage
from pydoit_sc.made import names_of
from pydoit_sc.project import Project
from pydoit_sc.tasks.tasks import RunTask, StageTask


class Part(NamedTuple):
    """A stage as a task, or runs of it, or both."""

    stage: Stage
    runs: Sequence[Run]
    group: bool  # whether the stage itself is shown

    def names(self) -> Iterator[str]:
        """Yield the names of its tasks."""
        if self.group:
            yield self.stage.name
        for name in names_of(self.runs):
            yield self.stage.name if self.stage.single else f"{self.stage.name}:{name}"

    def task(self, project: Project, place: int) -> Task:
        """Return the task whose name is at this place of `names`."""
        if self.group and not place:
            return StageTask(project, self.stage)
        return RunTask(project, self.stage, self.runs[place - self.group])


def parts_of(stages: Iterable[Stage], *, with_runs: bool) -> list[Part]:
    """Return whole stages; `with_runs`: also their runs."""
    return [
        Part(stage, stage.runs if with_runs or stage.single else (), not stage.single) for stage in stages
    ]


def parts_with(runs: Iterable[tuple[Stage, Run]]) -> list[Part]:
    """Return runs, in their order."""
    parts = []
    for _, some in groupby(runs, lambda pair: pair[0].name):
        (stage, *_), of_it = zip(*some, strict=True)
        parts.append(Part(stage, of_it, group=False))
    return parts


def in_turn(project: Project, parts: Sequence[Part], *, by_name: bool) -> Iterator[Task]:
    """Yield the tasks of these parts, in their order or in that of their names."""
    if not by_name:
        for part in parts:
            yield from (part.task(project, place) for place, _ in enumerate(part.names()))
        return
    for _, number, place in merge(*(_by_name(number, part) for number, part in enumerate(parts))):
        yield parts[number].task(project, place)


def _by_name(number: int, part: Part) -> Iterator[tuple[str, int, int]]:
    """Yield the names of a part in order, with the number of the part and the place of each."""
    names = list(part.names())
    for place in sorted(range(len(names)), key=names.__getitem__):
        yield names[place], number, place
