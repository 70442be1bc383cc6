"""Maps over two axes of a stage, time and another one: how runs have ended, and how long they took."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydoit_sc.batch import Status
from pydoit_sc.report.html import Html, el, figure, section
from pydoit_sc.report.levels import Levels, levels_of
from pydoit_sc.report.reported import Reported, by_stage, quantile
from pydoit_sc.report.scale import Tick, axis
from pydoit_sc.report.spread import Columns
from pydoit_sc.show.standings import WORDS
from pydoit_sc.times import span

_ACROSS, _DOWN = 73, 24  # cells
_MAPS = 6
_ROW = 20  # pixels
_STEPS = 6  # of a colour

Cells = Mapping[tuple[int, int], Sequence[Reported]]  # by column and row


def heat_maps(runs: Sequence[Reported], columns: Columns) -> Html:
    """Return the section; "" where no stage has two axes, or one of time."""
    parts = [
        _pair(name, members, across, down)
        for name, members in by_stage(runs).items()
        for across, down in axes_of(columns[name], len(members))
    ]
    return section("heat", "Maps", *parts[:_MAPS]) if parts else Html()


def axes_of(columns: Mapping[str, Sequence[str]], count: int) -> Iterator[tuple[Levels, Levels]]:
    """Yield pairs of axes: the one of time, or else the longest, with each other one; with none where time is alone."""
    across = [found for name, values in columns.items() if (found := levels_of(name, values, _ACROSS))]
    if not across:
        return
    first = max(across, key=lambda levels: (levels.is_time, len(levels.labels)))
    others = [
        found
        for name, values in columns.items()
        if name != first.axis and (found := levels_of(name, values, _DOWN))
    ]
    if not others and first.is_time:
        others = [Levels("", [""], [0] * count, is_time=False)]
    yield from ((first, other) for other in others)


def _pair(name: str, runs: Sequence[Reported], across: Levels, down: Levels) -> Html:
    cells: dict[tuple[int, int], list[Reported]] = defaultdict(list)
    for one, column, row in zip(runs, across.of, down.of, strict=True):
        if column >= 0 and row >= 0:
            cells[column, row].append(one)
    times = {place: _median(members) for place, members in cells.items()}
    known = sorted(filter(None, times.values()))
    low, high = (known[0], quantile(known, 0.95)) if known else (0.0, 0.0)

    def warmth(place: tuple[int, int]) -> str:
        if not times[place]:
            return "unknown"
        return f"q{min(_STEPS - 1, int(_STEPS * (times[place] - low) / (high - low)) if high > low else 0)}"

    def time_words(place: tuple[int, int]) -> str:
        return f"median {span(times[place])}" if times[place] else "no completed run"

    over = f"{name}: {across.axis}" + (f" × {down.axis}" if down.axis else "")
    ended = _map(cells, across, down, lambda place: ending(cells[place]), lambda place: _counts(cells[place]))
    took = _map(cells, across, down, warmth, time_words)
    maps = [figure(f"Outcomes of {over}", ended, _legend(_ENDINGS))]
    if known:
        maps.append(figure(f"Median duration of {over}", took, _scale(low, high)))
    return el("div", *maps, class_="pair")  # fmt: skip


#: The classes of cells, in words; those of failures by the share of a cell's runs.
_ENDINGS = [
    ("completed", "completed"), ("f0", "up to 5 % failed"), ("f1", "to 20 %"), ("f2", "to 50 %"), ("f3", "more"),
    ("f4", "all"), ("stale", "stale"), ("unknown", "half or more incomplete"),
]  # fmt: skip


def ending(runs: Sequence[Reported]) -> str:
    """Return how the runs of a cell have ended, as the class that gives it a colour: what is wrong counts most."""
    counts = Counter(one.status for one in runs)
    if failed := counts[Status.ERROR] / len(runs):
        return f"f{bisect_left((0.05, 0.2, 0.5, 0.999999), failed)}"
    if 2 * (counts[Status.INCOMPLETE] + counts[Status.RUNNING]) >= len(runs):
        return "unknown"
    return "stale" if Status.STALE in counts else "completed"


def _median(runs: Sequence[Reported]) -> float:
    """Return the median time of the completed ones; 0 where it is not known."""
    times = sorted(one.seconds for one in runs if one.seconds and one.record and one.record.code == 0)
    return quantile(times, 0.5) if times else 0.0


def _counts(runs: Sequence[Reported]) -> str:
    counts = {word: sum(one.status is status for one in runs) for status, word in WORDS.items()}
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


def _map(
    cells: Cells,
    across: Levels,
    down: Levels,
    class_: Callable[[tuple[int, int]], str],
    words: Callable[[tuple[int, int]], str],
) -> Html:
    columns, rows = len(across.labels), len(down.labels)
    rects = [
        el(
            "rect",
            el("title", ", ".join(filter(None, (across.labels[x], down.labels[y], words((x, y)))))),
            x=x, y=y, width=1, height=1, class_=class_((x, y)),
        )
        for x, y in sorted(cells)
    ]  # fmt: skip
    shown = sorted({0, columns // 4, columns // 2, 3 * columns // 4}) if columns > 6 else range(columns)
    marks = [Tick((x + 0.5) / columns, across.labels[x].partition(" … ")[0]) for x in shown]
    chart = el(
        "svg", *rects, viewBox=f"0 0 {columns} {rows}", height=_ROW * rows, class_="heat",
        preserveAspectRatio="none", role="img",
        aria_label=f"{columns:,} values of {across.axis} across, {rows:,} of {down.axis or 'one'} down",
    )  # fmt: skip
    labels = el("ol", *(el("li", label, title=label) for label in down.labels), class_="labels rows")
    return el("div", labels, chart, axis(marks), class_="plot")


def _scale(low: float, high: float) -> Html:
    """Return the colours of times, from those up to `low` to those from `high` on."""
    colours = (el("span", class_=f"q{i}") for i in range(_STEPS))
    return el("p", span(low), *colours, f"{span(high)} and more", class_="scale")


def _legend(items: Sequence[tuple[str, str]]) -> Html:
    return el("ul", *(el("li", word, class_=class_) for class_, word in items), class_="legend")
