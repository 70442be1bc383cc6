"""Scales of charts: where a value lies between 0 and 1, and which values are written below it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count, pairwise, takewhile
from typing import NamedTuple

from pydoit_sc.report.html import Html, el

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_EPOCH = datetime(1970, 1, 1)
_TIMES = [
    *(digit * 10.0**power for power in range(-3, 1) for digit in (1, 2, 5)), 10, 15, 30,
    *(_MINUTE * count for count in (1, 2, 5, 10, 15, 30)), *(_HOUR * count for count in (1, 2, 3, 6, 12)),
    *(_DAY * digit * 10**power for power in range(5) for digit in (1, 2, 5)),
]  # fmt: skip
_TICKS = 4
_MOMENTS = 10  # below a chart that is as wide as the page
_LETTER = 0.0065  # of that width
_ANCHORS = {0: "start", 0.5: None, 1: "end"}
_GAPS = 7  # that are cut out, at most
_APART = 0.02  # of the width, between two parts of a clock
_LEAST = 0.04  # of the width, for a part
_EXACT = 1e-6  # seconds: moments of our days are told apart no better


class Tick(NamedTuple):
    """A value that is written below a chart."""

    at: float  # from 0 to 1
    text: str


def time_step(seconds: float, ticks: int = _TICKS) -> float:
    """Return a round step that divides a length of time into a few parts.

    >>> time_step(3700), time_step(0.02)
    (1800, 0.005)
    """
    return next((step for step in _TIMES if seconds / step <= ticks), seconds)


def number_step(most: float, ticks: int = _TICKS) -> float:
    """Return a round step that divides a number into a few parts.

    >>> number_step(1_234_000), number_step(7)
    (500000.0, 2.0)
    """
    power = 10.0 ** math.floor(math.log10(most / ticks)) if most > 0 else 1.0
    return next(digit * power for digit in (1, 2, 5, 10) if most / (digit * power) <= ticks)


def ticks(most: float, step: float, words: Callable[[float], str]) -> list[Tick]:
    """Return the ticks of a scale from 0 to `most`."""
    return [Tick(step * i / most, words(step * i) if i else "0") for i in range(int(most / step) + 1)]


def axis(marks: Iterable[Tick]) -> Html:
    """Return the line below a chart, as wide as its place."""
    return el(
        "svg",
        *(
            el(
                "g",
                el("line", x1=percent(at), x2=percent(at), y1=0, y2=4),
                el("text", text, x=percent(at), y=16, class_=_ANCHORS[_ahead(at)]),
            )
            for at, text in marks
        ),
        class_="axis", width="100%", height=20, aria_hidden="true",
    )  # fmt: skip


def _ahead(at: float) -> float:
    """Return how much of a text below a place lies ahead of it: half, but at the ends of a scale."""
    return 0 if at < 0.04 else 1 if at > 0.96 else 0.5


def percent(share: float) -> str:
    """Return a share as SVG has it."""
    return f"{100 * share:.2f}%"


def number(value: float) -> str:
    """Return a number in few digits.

    >>> number(6432.1), number(56.25), number(0.00139)
    ('6,432', '56.2', '0.00139')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bar(parts: Iterable[tuple[float, object]]) -> Html:
    """Return a bar of parts behind each other: their shares of the width of its place, and their classes."""
    left, rects = 0.0, []
    for share, class_ in parts:
        rects.append(el("rect", x=percent(left), width=percent(share), height=14, class_=class_))
        left += share
    return el("svg", *rects, width="100%", height=14, class_="bar", aria_hidden="true")


class Clock:
    """Puts moments on a line from 0 to 1, on which long times without a run are cut out."""

    def __init__(self, spans: Iterable[tuple[float, float]]) -> None:
        self.parts = _parts(_union(spans))
        lengths = [max(end - start, 1e-3) for start, end in self.parts]
        weights = [max(length, _LEAST * sum(lengths)) for length in lengths]
        room = (1 - _APART * (len(weights) - 1)) / sum(weights)
        self._widths = [room * weight for weight in weights]
        self._paces = [width / length for width, length in zip(self._widths, lengths, strict=True)]
        self._lefts = [sum(self._widths[:i]) + _APART * i for i in range(len(weights))]
        self._starts = [start for start, _ in self.parts]

    @property
    def seconds(self) -> float:
        """How long the parts are together."""
        return sum(end - start for start, end in self.parts)

    @property
    def gaps(self) -> list[float]:
        """Where time was cut out: the middles of the gaps."""
        return [left - _APART / 2 for left in self._lefts[1:]]

    def at(self, moment: float) -> float:
        """Return where a moment of one of the parts lies."""
        i = max(0, bisect_right(self._starts, moment) - 1)
        return self._lefts[i] + min(self._widths[i], (moment - self._starts[i]) * self._paces[i])

    def moment(self, at: float) -> float:
        """Return the moment that lies there, the end of a part for its gap."""
        i = max(0, bisect_right(self._lefts, at) - 1)
        return self._starts[i] + min(at - self._lefts[i], self._widths[i]) / self._paces[i]

    def ticks(self) -> Iterator[Tick]:
        """Yield what is written below, as far as there is room; the day is named with the first moment of each."""
        day, end = "", 0.0
        for (start, stop), width in zip(self.parts, self._widths, strict=True):
            step = time_step(stop - start, max(1, round(_MOMENTS * width)))
            for moment in _round_moments(start, stop, step) or [start]:
                text, of_day = _moment(moment, step)
                shown = text if of_day == day else f"{of_day} {text}".strip()
                at, length = self.at(moment), len(shown) * _LETTER
                left = at - _ahead(at) * length
                if left >= end:
                    yield Tick(at, shown)
                    day, end = of_day, left + length
        if not end:  # the only one lies where its text has no room
            text, of_day = _moment(self._starts[0], step)
            yield Tick(0.0, f"{of_day} {text}".strip())


def _round_moments(start: float, stop: float, step: float) -> list[float]:
    """Return the moments of a span that are multiples of a step by this machine's clock."""
    local = datetime.fromtimestamp(start)
    ahead = -(local - _EPOCH).total_seconds() % step
    steps = (ahead + step * i for i in count())
    moments = (
        (start + seconds for seconds in steps)
        if step <= _HOUR
        # A clock that is changed meanwhile makes a day longer or shorter.
        else ((local + timedelta(seconds=seconds)).timestamp() for seconds in steps)
    )
    until = takewhile(lambda moment: moment <= stop + _EXACT, moments)
    return [moment for moment in until if moment >= start]


def _moment(seconds: float, step: float) -> tuple[str, str]:
    """Return a moment to the precision of a step, and its day, by this machine's clock."""
    digits = max(0, -math.floor(math.log10(step)))
    whole, fraction = divmod(round(seconds * 10**digits), 10**digits)
    moment = datetime.fromtimestamp(whole)
    day = f"{moment:%b} {moment.day}"
    if step >= _DAY:
        return day, ""
    if step >= _MINUTE:
        return f"{moment:%H:%M}", day
    return f"{moment:%H:%M:%S}" + (f".{fraction:0{digits}}" if digits else ""), day


def _union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the times at which there is a run, sorted."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _parts(busy: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return from when to when a batch was executed, apart from the longest gaps, if those are long."""
    long = max(_MINUTE, sum(end - start for start, end in busy) / 4)
    gaps = sorted((after[0] - before[1], after[0]) for before, after in pairwise(busy))
    cuts = {start for length, start in gaps[-_GAPS:] if length > long}
    parts: list[tuple[float, float]] = []
    for start, end in busy:
        if not parts or start in cuts:
            parts.append((start, end))
        else:
            parts[-1] = parts[-1][0], end
    return parts
