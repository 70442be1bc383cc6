"""The timeline: how many runs executed at once, and what each rank of each worker executed when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pydoit_sc.batch import Status
from pydoit_sc.report.html import Html, el, figure, section
from pydoit_sc.report.reported import Lane, Reported
from pydoit_sc.report.scale import Clock, axis, number
from pydoit_sc.report.workers import WorkerTime
from pydoit_sc.show.standings import WORDS
from pydoit_sc.times import local, span

_LANES = 48  # that are shown
_LANE = 14  # pixels
_MARKS = 4000  # rectangles, about
_FINEST, _COARSEST = 1200, 100  # parts of the width: shorter runs are drawn together
_BINS = 240
_HEIGHT = 80  # of the curve, in units of its own
#: How runs are drawn, the last on top.
_ORDER = (Status.COMPLETED, Status.STALE, Status.ERROR)


class Drawn(NamedTuple):
    """A run in a lane of the chart, or several short ones."""

    left: float  # from 0 to 1
    right: float
    busy: float  # how long they are together
    status: Status
    first: Reported
    runs: int


def timeline(timed: Sequence[Reported], clock: Clock | None, workers: Mapping[str, WorkerTime]) -> Html:
    """Return the section."""
    if clock is None:
        return section(
            "timeline", "Timeline", el("p", "Of no run it is known when it was executed.", class_="none")
        )
    marks = axis(clock.ticks())
    pauses = " Pauses are cut out, at the dotted lines." if clock.gaps else ""
    lanes = lanes_of(timed, workers)
    shown = dict(list(lanes.items())[:_LANES])
    few = f" The first {_LANES} of {len(lanes):,} ranks are shown." if len(lanes) > _LANES else ""
    most, curves = _at_once(timed, clock)
    return section(
        "timeline",
        "Timeline",
        _legend(timed),
        figure(
            f"Runs at once, at most {number(most)}",
            el("div", el("ol", el("li", number(most)), el("li", 0), class_="labels ends"), curves, marks, class_="plot"),
            note=f"The mean of each of {_BINS} parts of the time.{pauses}",
        ),
        figure(
            "Workers and their ranks",
            el("div", _labels(shown, workers), _chart(shown, clock), marks, class_="plot"),
            note="A line for each rank of each worker; machine, then rank. Short runs are drawn together, as high as their "
            f"share of the time.{few}",
        ),
    )  # fmt: skip


def lanes_of(
    timed: Iterable[Reported], workers: Mapping[str, WorkerTime]
) -> Mapping[Lane, Sequence[Reported]]:
    """Return the runs of each rank, in the order of time; the ranks of the first worker first."""
    lanes: dict[Lane, list[Reported]] = {}
    for one in timed:
        lanes.setdefault(one.lane, []).append(one)
    order = {name: i for i, name in enumerate(workers)}
    for members in lanes.values():
        members.sort(key=lambda one: one.start)
    return dict(sorted(lanes.items(), key=lambda item: (order[item[0].worker], item[0].rank)))


def drawn(runs: Iterable[Reported], clock: Clock, finest: float) -> list[Drawn]:
    """Return what is drawn of a rank's runs: those shorter than a `finest` part of the width that begin in the same one together."""
    found: dict[tuple[Status, int | str], Drawn] = {}
    for one in runs:
        left, right = clock.at(one.start), clock.at(one.end)
        place = one.status, int(left / finest) if right - left < finest else one.run.key
        if mark := found.get(place):
            busy, count = mark.busy + right - left, mark.runs + 1
            found[place] = mark._replace(right=max(mark.right, right), busy=busy, runs=count)
        else:
            found[place] = Drawn(left, right, right - left, one.status, one, 1)
    return [mark for status in _ORDER for mark in found.values() if mark.status is status]


def _chart(lanes: Mapping[Lane, Sequence[Reported]], clock: Clock) -> Html:
    finest = 1 / max(_COARSEST, min(_FINEST, _MARKS // len(lanes)))
    rects = [
        _rect(mark, i, clock) for i, runs in enumerate(lanes.values()) for mark in drawn(runs, clock, finest)
    ]
    height = _LANE * len(lanes)
    return el(
        "svg", *rects, *_gaps(clock, height),
        viewBox=f"0 0 1000 {height}", height=height, class_="lanes", preserveAspectRatio="none", role="img",
        aria_label=f"Runs of {len(lanes):,} ranks over time; the table at the end has each run with its times",
    )  # fmt: skip


def _rect(mark: Drawn, row: int, clock: Clock) -> Html:
    if mark.runs > 1:
        ends = f"{local(clock.moment(mark.left))} to {local(clock.moment(mark.right))}"
        said = f"{mark.runs:,} runs from {mark.first.task}, {WORDS[mark.status]}, {ends}"
    else:
        said = f"{mark.first.task}, {WORDS[mark.status]}, {span(mark.first.seconds)}"
    length, most = mark.right - mark.left, _LANE - 2
    height = max(3.0, most * min(1.0, mark.busy / length)) if length else most
    return el(
        "rect", el("title", said), x=f"{1000 * mark.left:.2f}", y=f"{_LANE * row + 1 + most - height:.1f}",
        width=f"{max(2.5, 1000 * length):.2f}", height=f"{height:.1f}", class_=mark.status,
    )  # fmt: skip


def _labels(lanes: Mapping[Lane, Sequence[Reported]], workers: Mapping[str, WorkerTime]) -> Html:
    said, before = [], ""
    for worker, rank in lanes:
        host = workers[worker].host if worker != before else ""
        before = worker
        said.append(el("li", el("span", host, title=host or None), el("b", rank)))
    return el("ol", *said, class_="labels")


def _gaps(clock: Clock, height: int) -> Iterator[Html]:
    for at in clock.gaps:
        x = f"{1000 * at:.2f}"
        yield el("line", x1=x, x2=x, y1=0, y2=height, class_="gap")


def _at_once(timed: Iterable[Reported], clock: Clock) -> tuple[float, Html]:
    """Return the largest number of runs at once, and the curve of it: all runs, and the failed ones."""
    everyone, failed = [0.0] * _BINS, [0.0] * _BINS
    for one in timed:
        left, right = clock.at(one.start) * _BINS, clock.at(one.end) * _BINS
        for bins in (everyone, failed) if one.status is Status.ERROR else (everyone,):
            _spread(bins, left, right)
    most = max(everyone)
    curves = [_curve(everyone, most, "completed"), _curve(failed, most, "error")]
    return most, el(
        "svg", *curves, *(line for line in _gaps(clock, _HEIGHT)),
        viewBox=f"0 0 1000 {_HEIGHT}", height=_HEIGHT, class_="curve", preserveAspectRatio="none", role="img",
        aria_label=f"Runs at once over time, at most {number(most)}",
    )  # fmt: skip


def _spread(bins: list[float], left: float, right: float) -> None:
    """Add to each bin the share of it that lies between two places."""
    first, last = min(int(left), len(bins) - 1), min(int(right), len(bins) - 1)
    if first == last:
        bins[first] += right - left
        return
    bins[first] += first + 1 - left
    for i in range(first + 1, last):
        bins[i] += 1
    bins[last] += right - last


def _curve(bins: Sequence[float], most: float, class_: str) -> Html:
    step = 1000 / len(bins)
    tops = "".join(
        f"V{_HEIGHT * (1 - value / most):.1f}H{step * (i + 1):.2f}" for i, value in enumerate(bins)
    )
    return el("path", d=f"M0 {_HEIGHT}{tops}V{_HEIGHT}Z", class_=class_)


def _legend(timed: Iterable[Reported]) -> Html:
    found = {one.status for one in timed}
    return el(
        "ul",
        *(el("li", WORDS[status], class_=status) for status in _ORDER if status in found),
        class_="legend",
    )
