"""The failures among chosen runs, by kind, with the numbers that `--group` knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydoit_sc.outcomes.failed import Failed, failed_among, read_failures
from pydoit_sc.outcomes.kinds import Kind, kinds_of
from pydoit_sc.project import Project
from pydoit_sc.selection import Chosen, Selection


@dataclass(frozen=True, slots=True)
class Failing:
    """What has failed."""

    kinds: Sequence[tuple[int, Kind]]  # that are asked for, with their numbers
    failed: int  # how many runs have failed, of any kind


def failing(project: Project, selection: Selection, chosen: Chosen, *, scanned: bool) -> Failing:
    """Return the failures among chosen runs, of the kind and as many as a selection wants; raises StoreError.

    Ignored runs are left out, but count for the numbers of kinds: `ignore --group` means the same runs before and after.
    The runs are those that the selection's words leave but for `--group`, `--slowest` and `--limit`, see
    `selection.among_options`. `scanned`: what the store has of them is known.
    """
    found = project.ledger.records if scanned else project.store.scan(run.key for _, run in chosen)
    failed = failed_among(chosen, found)
    heeded = [one for one in failed if project.ignored.isdisjoint((one.task.partition(":")[0], one.task))]
    asked = [
        (number, kind)
        for number, kind in enumerate(kinds_of(read_failures(project.store, failed)), 1)
        if selection.group in (None, number)
    ]
    alike = {task for _, kind in asked for task in kind.tasks}
    names = _narrowed(selection, [one for one in heeded if one.task in alike])
    kinds = [
        (number, replace(kind, tasks=tasks))
        for number, kind in asked
        if (tasks := [task for task in kind.tasks if task in names])
    ]
    return Failing(kinds, len(heeded))


def _narrowed(selection: Selection, failed: Sequence[Failed]) -> set[str]:
    """Return the names of the failed runs that are shown: the slowest of them, or the first."""
    if selection.slowest:
        failed = sorted(failed, key=lambda one: -(one.record.seconds or 0))[: selection.slowest]
    return {one.task for one in failed[: selection.limit]}
