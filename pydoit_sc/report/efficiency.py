"""How well processors and ranks were used: by stage, and by worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydoit_sc.report.html import Html, figure, section, table
from pydoit_sc.report.overview import share
from pydoit_sc.report.reported import Reported, by_stage
from pydoit_sc.report.scale import bar
from pydoit_sc.report.workers import WorkerTime
from pydoit_sc.times import local, span

_SHOWN = 20  # workers, stages


def efficiency(timed: Sequence[Reported], workers: Mapping[str, WorkerTime]) -> Html:
    """Return the section; "" where no times are known."""
    if not timed:
        return Html()
    stages = by_stage(timed)
    some = f" The first {_SHOWN} of {len(stages):,} stages." if len(stages) > _SHOWN else ""
    idlest = sorted(workers.values(), key=lambda worker: -worker.idle)[:_SHOWN]
    few = f" The {_SHOWN} of {len(workers):,} that were idle longest." if len(workers) > _SHOWN else ""
    return section(
        "efficiency",
        "Efficiency",
        figure(
            "Processors by stage",
            table(
                ("Stage", "", "CPU of slots", "CPU time", "Time"),
                [_stage(name, runs) for name, runs in list(stages.items())[:_SHOWN]],
                class_="bars",
                numbers=range(2, 5),
            ),
            note="The processor time of runs, as a share of the time that they held their slots. More than 100 % is "
            f"several processors in a slot.{some}",
        ),
        figure(
            "Ranks by worker",
            table(
                ("Worker on", "", "Busy", "Idle", "Ranks", "Runs", "From", "For"),
                map(_worker, idlest),
                class_="bars",
                numbers=range(2, 8),
            ),
            note="A rank is idle when it has no run between its worker's first start and last end; attempts that were "
            f"retried count as idle.{few}",
        ),
    )


def _stage(name: str, runs: Sequence[Reported]) -> Sequence[object]:
    cpu = sum(one.cpu for one in runs)
    held = sum(one.seconds * one.run.settings.slots for one in runs)
    return name, _bar(cpu / held), _share_above(cpu, held), span(cpu), span(sum(one.seconds for one in runs))


def _share_above(part: float, whole: float) -> str:
    """Return a share in percent that may be more than all."""
    return share(part, whole) if part <= whole else f"{100 * part / whole:,.0f} %"


def _worker(worker: WorkerTime) -> Sequence[object]:
    busy = 1 - worker.idle_share
    return (
        worker.host, _bar(busy), share(worker.busy, worker.busy + worker.idle), span(worker.idle) if worker.idle else 0, f"{worker.size:,}",
        f"{worker.runs:,}", local(worker.start), span(worker.length),
    )  # fmt: skip


def _bar(part: float) -> Html:
    part = min(1.0, part)
    return bar([(part, "completed"), (1 - part, "rest")])
