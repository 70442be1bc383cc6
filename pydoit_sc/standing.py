"""How runs stand together: a stage's, or the batch's, by status, where they execute now, and how fast they are completed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from pydoit_sc.batch import Stage, Status, stage_of, task_of
from pydoit_sc.ledger import Ledger
from pydoit_sc.made import keys_of
from pydoit_sc.order import Causes
from pydoit_sc.store import Live
from pydoit_sc.verdicts import is_executing

_TO_EXECUTE = (Status.INCOMPLETE, Status.STALE)
_SOME = 1000  # runs whose times stand for those of all


@dataclass(frozen=True, slots=True)
class Standing:
    """How some runs stand."""

    statuses: Counter[Status] = field(default_factory=Counter)  # how many runs, without the ignored
    ignored: int = 0  # runs that are left as they are, as `ignore` says
    hosts: Counter[str] = field(default_factory=Counter)  # how many execute now, by machine
    pace: float | None = None  # runs that are completed in a second; None: not known

    @property
    def size(self) -> int:
        """The number of runs."""
        return sum(self.statuses.values()) + self.ignored

    @property
    def seconds_left(self) -> float | None:
        """The time until the running runs, and those that have yet to execute, are completed; failed ones are not counted.

        None where the pace is not known.
        """
        left = sum(self.statuses[status] for status in (Status.INCOMPLETE, Status.STALE, Status.RUNNING))
        return left / self.pace if self.pace else None


def stand(ledger: Ledger, stage: Stage, running: Mapping[str, Live]) -> Standing:
    """Return how a stage stands, given what live workers say they execute.

    The pace is how many runs execute at once, by the mean time of the completed ones, so no clocks are compared.
    """
    statuses, hosts, settled, ignored = Counter[Status](), Counter[str](), len(stage.runs), 0
    for run in ledger.unsettled(stage, running):
        settled -= 1
        live = running.get(run.key)
        verdict = ledger.verdict(stage, run, live)
        if verdict.ignored:
            ignored += 1
            continue
        statuses[verdict.status] += 1
        if live and verdict.status is Status.RUNNING:
            hosts[live.host] += 1
    if settled:
        statuses[Status.COMPLETED] += settled
    # Short runs are completed since they were announced; others have taken their ranks.
    at_once = sum(key in running for key in keys_of(stage.runs)) if running else 0
    times = _times(ledger, stage) if at_once else ()
    return Standing(statuses, ignored, hosts, at_once / fmean(times) if times else None)


def stand_all(
    ledger: Ledger, stages: Iterable[Stage], running: Mapping[str, Live]
) -> tuple[Mapping[str, Standing], Standing]:
    """Return how each of these stages stands, by name, and how they stand together."""
    standings = {stage.name: stand(ledger, stage, running) for stage in stages}
    return standings, total(standings.values())


def goes_on(ledger: Ledger, stages: Iterable[Stage], running: Mapping[str, Live]) -> bool:
    """Return whether one of these runs executes, or has yet to execute and waits for none that has failed."""
    failed = {
        key
        for key, record in ledger.records.items()
        if record.code
        and not is_executing(running.get(key), record)
        and ledger.ignored.isdisjoint((stage_of(key), task_of(key)))
    }
    causes = Causes(failed)
    return any(
        verdict.status is Status.RUNNING or (verdict.status in _TO_EXECUTE and not causes.of(run))
        for stage in stages
        for run in ledger.unsettled(stage, running)
        if (verdict := ledger.verdict(stage, run, running.get(run.key))).execute
    )


def _times(ledger: Ledger, stage: Stage) -> list[float]:
    """Return the times that completed runs took, as far as they are known: of some of many."""
    runs = stage.runs[:: len(stage.runs) // _SOME + 1]
    return [seconds for run in runs if (seconds := ledger.took(run))]


def total(standings: Iterable[Standing]) -> Standing:
    """Return how the runs of several stages stand together, without a pace: their runs take different times."""
    statuses, ignored, hosts = Counter[Status](), 0, Counter[str]()
    for one in standings:
        statuses += one.statuses
        hosts += one.hosts
        ignored += one.ignored
    return Standing(statuses, ignored, hosts)
