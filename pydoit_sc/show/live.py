"""How a batch stands now, as a picture that is drawn again and again: bars, the pace so far, and what executes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydoit_sc.batch import Status
from pydoit_sc.show.footer import cells, fit
from pydoit_sc.show.tables import one_line
from pydoit_sc.standing import Standing
from pydoit_sc.store import Live
from pydoit_sc.times import clock, pace, span

_NAME, _BAR = 24, 30  # cells at most
_RUN = 40
_BUCKETS = 40  # of the times at which runs have ended
_WIDTHS = (1, 5, 15, 60, 300, 900, 3600, 21600, 86400)  # seconds of a bucket
_ENOUGH = 20  # runs that the buckets are to show
_SKEW = 60.0  # seconds that another machine's clock may be ahead


@dataclass(frozen=True, slots=True)
class View:
    """How a batch stands at a moment."""

    standings: Mapping[str, Standing]  # by stage, the total last
    running: Sequence[tuple[str, Live]]  # by the names of their tasks
    ended: Sequence[float]  # when runs have ended, in seconds since the epoch
    now: float  # in seconds since the epoch
    error: str = ""  # why it is not newer
    goes_on: bool = True  # whether a run executes, or may yet execute


def picture(view: View, columns: int, rows: int, *, graphic: bool) -> list[str]:
    """Return the lines of a view, in so many columns and rows at most; `graphic`: with more than ASCII."""
    lines = [fit(line, columns) for line in _bars(view, columns, graphic=graphic)]
    if view.ended and columns > _BUCKETS:
        lines += ["", fit(_pace(view, graphic=graphic), columns)]
    if view.error:
        lines.append(fit(one_line(view.error), columns))
    if view.running and rows - len(lines) > 3:
        lines += ["", *(fit(line, columns) for line in _running(view, rows - len(lines) - 1, columns))]
    return lines


def _bars(view: View, columns: int, *, graphic: bool) -> Iterator[str]:
    full, bad, empty = ("█", "x", "░") if graphic else ("#", "x", ".")
    name_width = min(_NAME, columns // 3, max(cells(one_line(name)) for name in view.standings))
    bar_width = min(_BAR, columns // 4)
    for name, standing in view.standings.items():
        total = max(1, standing.size)
        completed, failed = standing.statuses[Status.COMPLETED], standing.statuses[Status.ERROR]
        good, wrong = bar_width * completed // total, -(-bar_width * failed // total)
        good = min(good, bar_width - wrong)
        shown = fit(one_line(name), name_width)
        bar = full * good + bad * wrong + empty * (bar_width - good - wrong)
        yield f"{shown}{' ' * (name_width - cells(shown))} {bar} {figures(standing)}"


def figures(standing: Standing) -> str:
    """Return how many runs stand how, as one line."""
    completed = f"{standing.statuses[Status.COMPLETED]:,}/{standing.size:,}"
    others = ((Status.ERROR, "failed"), (Status.RUNNING, "running"), (Status.STALE, "stale"))
    counts = [f"{count:,} {word}" for status, word in others if (count := standing.statuses[status])]
    text = ", ".join([completed, *counts])
    left = standing.seconds_left
    return f"{text}, {clock(left)} left" if left else text


def _pace(view: View, *, graphic: bool) -> str:
    width, counts = buckets(view.ended, view.now)
    marks = "▁▂▃▄▅▆▇█" if graphic else ".:-=+*%#"
    most = max(*counts, 1)
    line = "".join(marks[(len(marks) - 1) * count // most] if count else " " for count in counts)
    lasted = span(width * _BUCKETS)
    return f"{line}| {pace(sum(counts) / (width * _BUCKETS))} ended in the last {lasted}"


def buckets(ended: Iterable[float], now: float) -> tuple[int, list[int]]:
    """Return how many runs have ended in each of the last lengths of time, the newest last, and that length in seconds.

    It is the shortest that shows some runs.

    >>> width, counts = buckets([990.0, 995.5, 999.0, 1001.0], 1000.0)
    >>> width, counts[-12:]
    (1, [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1])
    """
    ages = [max(0.0, now - end) for end in ended if now - end > -_SKEW]
    wanted = min(_ENOUGH, len(ages))
    within = (width for width in _WIDTHS if sum(age < width * _BUCKETS for age in ages) >= wanted)
    width = next(within, _WIDTHS[-1])
    counts = [0] * _BUCKETS
    for age in ages:
        if age < width * _BUCKETS:
            counts[-1 - int(age // width)] += 1
    return width, counts


def _running(view: View, rows: int, columns: int) -> Iterator[str]:
    """Yield the runs that execute, those that have done so for longest first."""
    longest = sorted(view.running, key=lambda item: item[1].since)
    shown = longest if len(longest) < rows else longest[: rows - 2]
    cut = [
        (fit(one_line(name), min(_RUN, columns // 2)), fit(one_line(live.host), _NAME), live)
        for name, live in shown
    ]
    names = max(cells(text) for text in ("running", *(name for name, _, _ in cut)))
    hosts = max(cells(text) for text in ("host", *(host for _, host, _ in cut)))
    yield f"{'running':{names}}  {'host':{hosts}}  rank  for"
    for name, host, live in cut:
        rank = "" if live.rank is None else fit(str(live.rank), 4)
        age = clock(max(0.0, view.now - live.since))
        yield f"{name}{' ' * (names - cells(name))}  {host}{' ' * (hosts - cells(host))}  {rank:>4}  {age}"
    if len(shown) < len(longest):
        yield f"and {len(longest) - len(shown):,} more"
