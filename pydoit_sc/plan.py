"""Which runs will execute, and why: every run of a batch with its verdict, in the order of an execution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from pydoit_sc.batch import Run, Stage, Status, task_of
from pydoit_sc.ledger import Ledger
from pydoit_sc.parts import Busy, in_order
from pydoit_sc.verdicts import CHANGED, FORCED, TO_EXECUTE, Verdict

_TOGETHER = 256  # runs that the store is asked about at once


class Planned(NamedTuple):
    """A run, its stage and its status."""

    stage: Stage
    run: Run
    verdict: Verdict


def plan(ledger: Ledger, stages: Iterable[Stage], *, always: bool = False) -> Iterator[Planned]:
    """Yield every run with its verdict, stage by stage, in the order of an execution.

    A completed run is stale, too, if a run that it comes after is going to be executed. Up-to-date runs that the ledger
    did not keep (`Project.needs_verdicts_only`) are left out; `verdicts.count` counts them.
    """
    busy, ordered = Busy(), in_order(list(stages))
    awaited = {name for stage in ordered for name in stage.after}
    for stage in ordered:
        looks_at_all = always or (stage.after and busy)
        runs = iter(stage.runs if looks_at_all else ledger.unsettled(stage))
        while some := list(islice(runs, _TOGETHER)):
            verdicts = [_planned(ledger, stage, run, busy, always=always) for run in some]
            ledger.look_beside(run for run, verdict in zip(some, verdicts, strict=True) if verdict.execute)
            for run, verdict in zip(some, verdicts, strict=True):
                if verdict.execute and stage.name in awaited:
                    busy.add(run)
                yield Planned(stage, run, ledger.within(run, verdict))


def _planned(ledger: Ledger, stage: Stage, run: Run, busy: Busy, *, always: bool) -> Verdict:
    verdict = ledger.verdict(stage, run)
    own = verdict.reason.removesuffix(CHANGED["after"]) if verdict.execute else ""
    if own != verdict.reason and not verdict.ignored and (before := busy.before(run)):
        verdict = Verdict(Status.STALE, f"{own}{TO_EXECUTE}", task_of(before.key))
    return FORCED if always and not (verdict.execute or verdict.ignored) else verdict
