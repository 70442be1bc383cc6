"""How runs stand together: a stage's, or the batch's, by status, where they execute now, and how fast they are completed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from pydoit_sc.batch import Run, Stage, Status
from pydoit_sc.changes import read_provenance
from pydoit_sc.plan import Ledger, judge_live
from pydoit_sc.store import Live, Outputs

_SAMPLED = 16  # completed runs of a stage whose times are read
_LONGEST = 1e9  # seconds that a run may have taken: a `run.json` may say anything


@dataclass(frozen=True, slots=True)
class Standing:
    """How some runs stand."""

    statuses: Counter[Status] = field(default_factory=Counter)  # of all but the ignored ones
    ignored: int = 0
    hosts: Counter[str] = field(default_factory=Counter)  # of the running ones
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


def stand(
    ledger: Ledger, stage: Stage, running: Mapping[str, Live], seconds: Callable[[Run], float | None]
) -> Standing:
    """Return how a stage stands, given what live workers say they execute; `seconds` tells how long a completed run took.

    The pace is how many runs execute at once, by the mean time of a few that are completed, so no clocks are compared.
    """
    statuses, hosts = Counter[Status](), Counter[str]()
    completed: list[Run] = []
    for run in stage.runs:
        live = running.get(run.key)
        verdict = judge_live(ledger.verdict(stage, run), live)
        if verdict.ignored:
            continue
        statuses[verdict.status] += 1
        if verdict.status is Status.COMPLETED:
            completed.append(run)
        elif live and verdict.status is Status.RUNNING:
            hosts[live.host] += 1
    # Short runs are completed since they were announced; others have taken their ranks.
    at_once = sum(run.key in running for run in stage.runs) if running else 0
    ignored = len(stage.runs) - sum(statuses.values())
    return Standing(statuses, ignored, hosts, _pace(at_once, completed, seconds))


def _pace(at_once: int, completed: Sequence[Run], seconds: Callable[[Run], float | None]) -> float | None:
    if not at_once:
        return None
    times = [seconds(run) or 0.0 for run in completed[:: max(1, -(-len(completed) // _SAMPLED))]]
    known = [time for time in times if 0 < time < _LONGEST]
    return at_once / fmean(known) if known else None


def total(standings: Iterable[Standing]) -> Standing:
    """Return how the runs of several stages stand together, without a pace: their runs take different times."""
    statuses, ignored, hosts = Counter[Status](), 0, Counter[str]()
    for one in standings:
        statuses += one.statuses
        hosts += one.hosts
        ignored += one.ignored
    return Standing(statuses, ignored, hosts)


def seconds_in(store: Outputs) -> Callable[[Run], float | None]:
    """Return what tells how long a completed run took, from its `run.json`; None where that does not say."""

    def seconds(run: Run) -> float | None:
        known = read_provenance(store, run)
        return known.seconds if known else None

    return seconds
