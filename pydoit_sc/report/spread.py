"""How long completed runs took, and how much memory they had, by stage and by the values of each axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydoit_sc.report.html import Html, el, figure, join, section, table
from pydoit_sc.report.levels import Levels, levels_of
from pydoit_sc.report.reported import Reported, by_stage, quantile
from pydoit_sc.report.scale import axis, number_step, percent, ticks, time_step
from pydoit_sc.sizes import show_size
from pydoit_sc.times import span

_ROWS = 24  # of a chart
_STAGES, _AXES = 6, 6  # that have charts of their own

Columns = Mapping[str, Mapping[str, Sequence[str]]]  # the values of axes, by stage and axis


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of a run."""

    name: str
    of: Callable[[Reported], float]  # 0 where it is not known
    words: Callable[[float], str]
    step: Callable[[float], float]  # of a scale up to this value
    longest: str  # what the largest value is called


SECONDS = Measure("Duration", lambda one: one.seconds, span, time_step, "longest")
MEMORY = Measure(
    "Peak memory", lambda one: one.memory, lambda size: show_size(round(size)), number_step, "largest"
)


@dataclass(frozen=True, slots=True)
class Spread:
    """How the values of some runs are spread."""

    label: str
    count: int
    low: float  # 5 % are not above this
    first: float  # 25 %
    middle: float
    third: float  # 75 %
    high: float  # 95 %
    most: float


def spread(label: str, values: Iterable[float]) -> Spread | None:
    """Return how values are spread; None where there are none. Those that are 0 are not known."""
    ordered = sorted(value for value in values if value)
    if not ordered:
        return None
    low, first, middle, third, high = (quantile(ordered, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95))
    return Spread(label, len(ordered), low, first, middle, third, high, ordered[-1])


def spreads(runs: Sequence[Reported], columns: Columns) -> Html:
    """Return the section, "" where nothing is known: all stages beside each other, then each stage by each of its axes."""
    stages = by_stage(runs)
    done = {
        name: [i for i, one in enumerate(members) if one.record and one.record.code == 0]
        for name, members in stages.items()
    }
    whole = {name: [stages[name][i] for i in done[name]] for name in list(stages)[:_ROWS]}
    few = f", {_ROWS} of {len(stages):,}" if len(stages) > _ROWS else ""
    parts = [_pair(f"by stage{few}", "stage", whole)]
    for name, members in list(stages.items())[:_STAGES]:
        for levels in _levels(columns[name]):
            groups: dict[str, list[Reported]] = {label: [] for label in levels.labels}
            for i in done[name]:
                if levels.of[i] >= 0:
                    groups[levels.labels[levels.of[i]]].append(members[i])
            parts.append(_pair(f"{name} by {levels.axis}", levels.axis, groups))
    parts = [part for part in parts if part]
    if not parts:
        return Html()
    note = (
        "Of completed runs. The box has the middle half, its line is the median, the whiskers reach from 5 % to 95 %. "
        "Peak memory is that of one process, and known where it is more than the worker's own."
    )
    return section("spread", "Durations and memory", el("p", note, class_="note"), *parts)


def _levels(columns: Mapping[str, Sequence[str]]) -> Iterator[Levels]:
    found = (levels_of(name, values, _ROWS) for name, values in columns.items())
    yield from list(filter(None, found))[:_AXES]


def _pair(title: str, heading: str, groups: Mapping[str, Sequence[Reported]]) -> Html:
    """Return both measures of some groups of runs, beside each other where there is room; "" where none is known."""
    charts = [_boxes(title, heading, groups, measure) for measure in (SECONDS, MEMORY)]
    return el("div", *charts, class_="pair") if any(charts) else Html()


def _boxes(title: str, heading: str, groups: Mapping[str, Sequence[Reported]], measure: Measure) -> Html:
    found = [one for name, runs in groups.items() if (one := spread(name, map(measure.of, runs)))]
    if not found:
        return Html()
    most = 1.02 * max(one.high for one in found)
    rows = [
        (one.label, _box(one, most), measure.words(one.middle), measure.words(one.most), f"{one.count:,}")
        for one in found
    ]
    scale = axis(ticks(most, measure.step(most), measure.words))
    headers = (heading, scale, "median", measure.longest, "runs")
    return figure(f"{measure.name}: {title}", table(headers, rows, class_="boxes", numbers=range(2, 5)))


def _box(one: Spread, most: float) -> Html:
    def line(left: float, right: float, y1: float, y2: float, class_: str) -> Html:
        return el("line", x1=percent(left / most), x2=percent(right / most), y1=y1, y2=y2, class_=class_)

    box = el(
        "rect", x=percent(one.first / most), y=4, height=10, width=percent((one.third - one.first) / most)
    )
    marks = (
        line(one.low, one.high, 9, 9, "whisker"), box, line(one.low, one.low, 6, 12, "whisker"),
        line(one.high, one.high, 6, 12, "whisker"), line(one.middle, one.middle, 2, 16, "median"),
    )  # fmt: skip
    return el("svg", join(marks), width="100%", height=18, class_="box", aria_hidden="true")
