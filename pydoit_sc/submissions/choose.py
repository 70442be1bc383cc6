"""Which runs a submission takes, in groups: the same for every engine.

Some engines start a group of chunks when the group before has ended, or a chunk when those that it waits for have. With
the others a submission is one group: a run that comes `after` others is left for a later submission, until these are
completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydoit_sc.batch import Run, RunSet, Stage, Status, stage_of
from pydoit_sc.fingerprint import MissingFileDepError
from pydoit_sc.ledger import Ledger, Work
from pydoit_sc.parts import in_order
from pydoit_sc.plurals import counted


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
class Left:
    """Runs of a stage that are left for a later submission, since they come after others."""

    count: int
    stage: str  # of one of these
    whole: bool  # all that are to be executed of their stage


@dataclass(slots=True)
class Choice:
    """The runs of a submission, in their order."""

    first: list[Work] = field(default_factory=list)
    later: list[list[list[Work]]] = field(default_factory=list)  # group by group, and in each stage by stage
    scheduled: int = 0  # how many runs there were before `at_most`
    found: dict[Status, int] = field(default_factory=dict)  # {} where the status makes no difference
    waiting: dict[str, Left] = field(default_factory=dict)  # by stage
    ignored: int = 0  # how many runs `ignore` leaves out

    @property
    def groups(self) -> list[list[list[Work]]]:
        """The groups that have runs, each with parts that share chunks."""
        return [group for group in ([self.first], *self.later) if any(group)]

    @property
    def works(self) -> list[Work]:
        """All runs, in their order."""
        return [work for group in self.groups for part in group for work in part]


_LATER = -1  # the group of a run that is not in this submission


class _Groups:
    """The groups of the runs that others wait for."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self._awaited = {name for stage in stages for name in stage.after}
        self._of: dict[str, int] = {}  # by key
        self._together: dict[int, Run | None] = {}  # of RunSet: the one in the last group

    def __bool__(self) -> bool:
        return bool(self._of)

    def put(self, run: Run, group: int) -> None:
        """Put a run into a group; all runs of a stage before those that come after it."""
        if stage_of(run.key) in self._awaited:
            self._of[run.key] = group

    def before(self, run: Run) -> tuple[Run, int] | None:
        """Return the run that another waits for longest, with its group; None if it waits for none."""
        if not self._of:
            return None
        found = [one if isinstance(one, Run) else self._last(one) for one in run.after]
        waits = [(one, self._of[one.key]) for one in found if one is not None and one.key in self._of]
        return next((wait for wait in waits if wait[1] == _LATER), max(waits, key=_group, default=None))

    def _last(self, runs: RunSet) -> Run | None:
        if id(runs) not in self._together:
            waits = [(run, self._of[run.key]) for run in runs.members if run.key in self._of]
            last = next((wait for wait in waits if wait[1] == _LATER), max(waits, key=_group, default=None))
            self._together[id(runs)] = last[0] if last else None
        return self._together[id(runs)]


def _group(wait: tuple[Run, int]) -> int:
    return wait[1]


def choose(ledger: Ledger, wanted: Wanted, stages: Iterable[Stage], *, ordered: bool = False) -> Choice:
    """Choose the runs of a submission among those of these stages.

    A run that comes after one that is to be executed waits for a later submission; with `ordered` it is in this one, in
    a later group, unless an earlier run has yet to make one of its `file_dep`. Raises MissingFileDepError, TakenError.
    """
    choice, order = Choice(), in_order(list(stages))
    groups = _Groups(order)
    for stage in order:
        looks_at_all = wanted.completed or (stage.after and groups)
        now: list[Run] = []
        later: list[tuple[Run, Run, int]] = []
        settled = len(stage.runs)  # runs that are known to be up to date, and not looked at
        for run in stage.runs if looks_at_all else ledger.unsettled(stage):
            settled -= 1
            if ledger.is_ignored(stage, run):
                choice.ignored += 1
                continue
            before = groups.before(run)
            if before is None:
                now.append(run)
            else:
                later.append((run, *before))
        executed = _schedule(ledger, stage, now, wanted, choice, groups)
        if settled:
            choice.found[Status.COMPLETED] += settled
        left = _put_later(ledger, stage, later if ordered else [], choice, groups)
        left += [] if ordered else later
        for run, _, _ in left:
            groups.put(run, _LATER)
        if left:
            whole = len(left) == len(later) and not executed
            choice.waiting[stage.name] = Left(len(left), stage_of(left[0][1].key), whole)
    choice.scheduled = len(choice.first)
    if wanted.at_most is not None:
        del choice.first[wanted.at_most :]
    return choice


def left_words(stage: str, left: Left) -> str:
    """Return which runs of a stage wait for a later submission, and for what.

    >>> left_words("plot", Left(12, "month", whole=True)), left_words("plot", Left(12, "month", whole=False))
    ('`plot` comes after `month`', '12 runs of `plot` come after runs of `month`')
    """
    if left.whole:
        return f"`{stage}` comes after `{left.stage}`"
    return f"{counted(left.count, 'run')} of `{stage}` come{'s' * (left.count == 1)} after runs of `{left.stage}`"


def _schedule(  # noqa: PLR0913, PLR0917
    ledger: Ledger, stage: Stage, runs: Sequence[Run], wanted: Wanted, choice: Choice, groups: _Groups
) -> int:
    """Put runs that wait for none into the first group, by status, and return how many.

    The order is the seed's: incomplete runs, failed runs, completed runs.
    """
    if wanted.everything:
        ledger.look_beside(runs)
        choice.first.extend(ledger.work(stage, run) for run in runs)
        for run in runs:
            groups.put(run, 0)
        return len(runs)
    by_status: dict[Status, list[Run]] = {Status.INCOMPLETE: [], Status.ERROR: [], Status.COMPLETED: []}
    for run in runs:
        status = ledger.verdict(stage, run).status
        by_status[status if status in by_status else Status.INCOMPLETE].append(run)
    before = len(choice.first)
    for status, found in by_status.items():
        choice.found[status] = choice.found.get(status, 0) + len(found)
        taken = wanted.takes(status)
        if taken:
            ledger.look_beside(found)
            choice.first.extend(ledger.work(stage, run) for run in found)
        if wanted.delays(status):
            for run in found:
                groups.put(run, 0 if taken else _LATER)
    return len(choice.first) - before


def _put_later(
    ledger: Ledger, stage: Stage, waits: Sequence[tuple[Run, Run, int]], choice: Choice, groups: _Groups
) -> list[tuple[Run, Run, int]]:
    """Put runs of a stage into the groups behind those that they wait for; return those for which that cannot be."""
    left, parts = [], dict[int, list[Work]]()
    ledger.look_beside(run for run, _, group in waits if group != _LATER)
    for run, before, group in waits:
        work = _work(ledger, stage, run) if group != _LATER else None
        if work is None:
            left.append((run, before, group))
        else:
            parts.setdefault(group + 1, []).append(work)
            groups.put(run, group + 1)
    for group, works in parts.items():
        choice.later.extend([] for _ in range(group - len(choice.later)))
        choice.later[group - 1].append(works)
    return left


def _work(ledger: Ledger, stage: Stage, run: Run) -> Work | None:
    """Return what a worker needs to execute a run; None if it depends on a file that is not there yet."""
    try:
        return ledger.work(stage, run)
    except MissingFileDepError:
        return None


def earlier_runs(ledger: Ledger, choice: Choice) -> dict[str, dict[str, str]]:
    """Return the fingerprints of the runs of the stages that runs of later groups come after as a whole, by stage and key."""
    wholes = {
        one.stage: one
        for group in choice.later
        for works in group
        for work in works
        for one in work.run.after
        if isinstance(one, RunSet) and one.whole
    }
    return {stage: earlier_fingerprints(ledger, runs) for stage, runs in wholes.items()}


def earlier_fingerprints(ledger: Ledger, earlier: Run | RunSet) -> dict[str, str]:
    """Return the fingerprints of runs that others find completed; an ignored one is taken as it is, or not at all."""
    found = {}
    for run in (earlier,) if isinstance(earlier, Run) else earlier.members:
        if not ledger.leaves(run):
            found[run.key] = ledger.expected(run, ledger.fingerprint(run))
        elif (record := ledger.record(run)) and record.code == 0:
            found[run.key] = record.fingerprint
    return found
