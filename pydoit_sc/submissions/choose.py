"""Which runs a submission takes, in groups: the same for every engine.

Some engines start a group of chunks when the group before has ended. With the others a submission is one group: a
stage that comes `after` another one is left for a later submission, until every run before it is completed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydoit_sc.batch import Run, Stage, Status
from pydoit_sc.fingerprint import MissingFileDepError
from pydoit_sc.plan import Ledger, Work, in_order


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are scheduled, beside those that are incomplete or stale."""

    completed: bool
    failures: bool
    at_most: int | None = None  # runs

    @property
    def everything(self) -> bool:
        """Whether the status of a run makes no difference."""
        return self.completed and self.failures

    def takes(self, status: Status) -> bool:
        """Return whether a run of this status is scheduled."""
        return {Status.ERROR: self.failures, Status.COMPLETED: self.completed}.get(status, True)

    def delays(self, status: Status) -> bool:
        """Return whether the stages after a run of this status have to wait for it."""
        return status is not Status.COMPLETED or self.completed


@dataclass(frozen=True, slots=True)
class Part:
    """Runs that share chunks: all of the first group, or those of one stage in a later group."""

    works: list[Work] = field(default_factory=list)
    after: Sequence[str] = ()  # the stages that a worker finds completed, or executes nothing


@dataclass(slots=True)
class Choice:
    """The runs of a submission, in their order."""

    first: Part = field(default_factory=Part)
    later: list[list[Part]] = field(default_factory=list)  # group by group
    scheduled: int = 0  # how many runs there were before `at_most`
    found: dict[Status, int] = field(default_factory=dict)  # {} where the status makes no difference
    waiting: dict[str, str] = field(default_factory=dict)  # stage → the one that it waits for
    ignored: int = 0  # how many runs `ignore` leaves out

    @property
    def groups(self) -> list[list[Part]]:
        """The groups that have runs; each may start when the one before has ended."""
        return [group for group in ([self.first], *self.later) if any(part.works for part in group)]

    @property
    def works(self) -> list[Work]:
        """All runs, in their order."""
        return [work for group in self.groups for part in group for work in part.works]


def choose(ledger: Ledger, wanted: Wanted, *, ordered: bool = False) -> Choice:
    """Choose the runs of a submission, stage by stage.

    A stage that comes after one with runs to execute waits for a later submission; with `ordered` it is in this one,
    in a later group, unless an earlier stage has yet to make one of its `file_dep`. Raises MissingFileDepError, TakenError.
    """
    choice = Choice()
    places: dict[str, int] = {}  # of each stage with runs to execute: its group
    for stage in in_order(ledger.batch.stages):
        before = [name for name in stage.after if name in places or name in choice.waiting]
        if not before:
            if _schedule(ledger, stage, wanted, choice):
                places[stage.name] = 0
            continue
        hindered = next((name for name in before if ordered and name in choice.waiting), None)
        works = _all_works(ledger, stage) if ordered and not hindered else None
        if works is None:
            choice.waiting[stage.name] = hindered or before[0]
            continue
        place = places[stage.name] = 1 + max(places[name] for name in before)
        choice.later.extend([] for _ in range(place - len(choice.later)))
        choice.later[place - 1].append(Part(works, stage.after))
    choice.ignored = sum(len(stage.runs) - len(_runs(ledger, stage)) for stage in ledger.batch.stages)
    choice.scheduled = len(choice.first.works)
    if wanted.at_most is not None:
        del choice.first.works[wanted.at_most :]
    return choice


def _schedule(ledger: Ledger, stage: Stage, wanted: Wanted, choice: Choice) -> bool:
    """Put a stage's runs into the first group, by status; return whether the stages after it have to wait.

    The order is the seed's: incomplete runs, failed runs, completed runs.
    """
    if wanted.everything:
        choice.first.works.extend(ledger.work(stage, run) for run in _runs(ledger, stage))
        return bool(stage.runs)
    by_status: dict[Status, list[Run]] = {Status.INCOMPLETE: [], Status.ERROR: [], Status.COMPLETED: []}
    for run in _runs(ledger, stage):
        status = ledger.verdict(stage, run).status
        by_status[status if status in by_status else Status.INCOMPLETE].append(run)
    for status, runs in by_status.items():
        choice.found[status] = choice.found.get(status, 0) + len(runs)
        if wanted.takes(status):
            choice.first.works.extend(ledger.work(stage, run) for run in runs)
    return any(runs and wanted.delays(status) for status, runs in by_status.items())


def _runs(ledger: Ledger, stage: Stage) -> Sequence[Run]:
    """Return a stage's runs without those that `ignore` leaves out."""
    if not ledger.ignored:
        return stage.runs
    return [run for run in stage.runs if not ledger.is_ignored(stage, run)]


def _all_works(ledger: Ledger, stage: Stage) -> list[Work] | None:
    """Return all runs of a stage; None if one depends on a file that is not there yet."""
    try:
        return [ledger.work(stage, run) for run in _runs(ledger, stage)]
    except MissingFileDepError:
        return None


def earlier_runs(ledger: Ledger, choice: Choice) -> dict[str, dict[str, str]]:
    """Return the fingerprints of the runs that later groups come after, by stage and key."""
    names = {name for group in choice.later for part in group for name in part.after}
    return {stage.name: dict(_earlier(ledger, stage)) for stage in ledger.batch.stages if stage.name in names}


def _earlier(ledger: Ledger, stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield the runs of a stage that later ones find completed; an ignored one is taken as it is, or not at all."""
    for run in stage.runs:
        record = ledger.records.get(run.key)
        if not ledger.is_ignored(stage, run):
            yield run.key, ledger.fingerprint(stage, run)
        elif record and record.code == 0:
            yield run.key, record.fingerprint
