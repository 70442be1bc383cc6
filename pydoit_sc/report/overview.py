"""The overview: how the runs stand, when they were executed, and with how much of machines and processors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pydoit_sc.batch import Status
from pydoit_sc.plurals import counted
from pydoit_sc.report.html import Html, el, figure, join, section, table
from pydoit_sc.report.reported import Reported, by_stage
from pydoit_sc.report.scale import Clock, bar, number
from pydoit_sc.report.workers import WorkerTime
from pydoit_sc.show.standings import WORDS
from pydoit_sc.times import local, span

_STAGES = 40  # that are shown


def overview(runs: Sequence[Reported], clock: Clock | None, workers: Mapping[str, WorkerTime]) -> Html:
    """Return the section."""
    counts = Counter(one.status for one in runs)
    tiles = [
        el(
            "li",
            el("strong", f"{counts[status]:,}"),
            el("span", word),
            el("small", share(counts[status], len(runs))),
            class_=f"tile {status}",
        )
        for status, word in WORDS.items()
        if counts[status] or status is Status.COMPLETED
    ]
    facts = list(_facts(runs, clock, workers))
    return section(
        "overview",
        "Overview",
        el("ul", *tiles, class_="tiles"),
        el("dl", join(el("div", el("dt", name), el("dd", said)) for name, said in facts), class_="facts"),
        _by_stage(runs),
    )


def share(part: float, whole: float) -> str:
    """Return a share in percent, so that only none is 0 % and only all are 100 %.

    >>> share(1, 3), share(1, 100_000), share(99_999, 100_000), share(0, 0), share(3, 3)
    ('33 %', '< 1 %', '> 99 %', '0 %', '100 %')
    """
    if not part or not whole:
        return "0 %"
    rounded = round(100 * part / whole)
    if part < whole and rounded in (0, 100):
        return "> 99 %" if rounded else "< 1 %"
    return f"{rounded} %"


def _facts(
    runs: Sequence[Reported], clock: Clock | None, workers: Mapping[str, WorkerTime]
) -> Iterator[tuple[str, str]]:
    """Yield what is known of the whole, in words."""
    ended = sum(one.status in (Status.COMPLETED, Status.ERROR, Status.STALE) for one in runs)
    yield "Runs with an outcome", f"{ended:,} of {len(runs):,}"
    if clock is None:
        return
    yield "First start", local(clock.parts[0][0])
    yield "Last end", local(clock.parts[-1][1])
    apart = f", in {len(clock.parts)} parts with pauses between" if clock.gaps else ""
    yield "Time", span(clock.seconds) + apart
    busy = sum(worker.busy for worker in workers.values())
    idle = sum(worker.idle for worker in workers.values())
    yield "Ranks", f"{span(busy)} busy, {span(idle) if idle else 0} idle ({share(idle, busy + idle)})"
    if busy + idle:
        yield "Time if no rank had been idle", span(clock.seconds * busy / (busy + idle))
    hosts = {worker.host for worker in workers.values()}
    yield "Executed by", f"{counted(len(hosts), 'machine')}, {counted(len(workers), 'worker')}"
    yield "Machine-hours", number(sum(worker.length for worker in workers.values()) / 3600)
    yield "CPU-hours", number(sum(one.cpu for one in runs) / 3600)


def _by_stage(runs: Sequence[Reported]) -> Html:
    """Return how each stage stands, as bars."""
    stages = by_stage(runs)
    rows = []
    for name, members in list(stages.items())[:_STAGES]:
        counts = Counter(one.status for one in members)
        shown = [f"{counts[status]:,} {word}" for status, word in WORDS.items() if counts[status]]
        rows.append(
            (
                name,
                bar((counts[status] / len(members), status) for status in WORDS if counts[status]),
                f"{len(members):,}",
                ", ".join(shown),
            )
        )
    note = (
        "" if len(stages) <= _STAGES else f"The first {_STAGES} of {len(stages):,} stages; the table has all."
    )
    return figure(
        "Stages", table(("Stage", "", "Runs", "Status"), rows, class_="bars", numbers={2}), note=note
    )
