"""Draw one chart, a self-contained SVG, from the summaries that the runs of the other stages have published."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 990, 600
LEFT, RIGHT = 64, 880  # the plots' horizontal edges; the lines' names stand to the right
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #5b6472 }
.title { font-size: 21px; font-weight: 600; fill: #1d2530 }
.panel { font-weight: 600; fill: #1d2530 }
.end { text-anchor: end }
.mid { text-anchor: middle }
.grid { stroke: #e6e9ee }
.axis { stroke: #9aa3b0 }
.band { fill: #f3b562; fill-opacity: .25 }
.max { stroke: #d1495b; fill: #d1495b }
.min { stroke: #2e6f9e; fill: #2e6f9e }
.trend { stroke: #5b6472; stroke-dasharray: 5 4 }
polyline { fill: none !important; stroke-width: 2; stroke-linejoin: round }
text.max, text.min, text.trend { stroke: none }
.rain { fill: #5f9ea8 }
.wettest { fill: #2b6777 }
.label { paint-order: stroke; stroke: #fff; stroke-width: 5px; stroke-linejoin: round; fill: #2b6777 }
"""


@dataclass(frozen=True)
class Window:
    """The published summary of one window."""

    start: date
    end: date
    temp_max: float
    temp_min: float
    precipitation: float

    @property
    def middle(self) -> float:
        """The day in the middle, as an ordinal."""
        return (self.start.toordinal() + self.end.toordinal() + 1) / 2


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels."""

    low: float
    high: float
    at_low: float
    at_high: float

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`, to a tenth."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.at_low + share * (self.at_high - self.at_low), 1)


def read_windows(outputs: Path, stage: str) -> list[Window]:
    """Return the summaries of one stage's runs, the earliest first."""
    windows = []
    for path in outputs.glob(f"{stage}/*/results/*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        windows.append(
            Window(
                start=date.fromisoformat(found["start"]),
                end=date.fromisoformat(found["end"]),
                temp_max=found["temp_max"],
                temp_min=found["temp_min"],
                precipitation=found["precipitation"],
            )
        )
    return sorted(windows, key=lambda window: window.start)


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return one line of text, its baseline at `y`."""
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(words)}</text>'


def polyline(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return a line through `points`."""
    return f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'


def draw_grid(y: Scale, step: int) -> Iterator[str]:
    """Yield a labelled horizontal line for every `step` of a panel's values."""
    for value in range(int(y.low), int(y.high) + 1, step):
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y(value)}" y2="{y(value)}"/>'
        yield text(LEFT - 10, y(value) + 4, str(value).replace("-", "\N{MINUS SIGN}"), "end")


def draw_years(months: Sequence[Window], x: Scale, top: float, bottom: float) -> Iterator[str]:
    """Yield a mark where each year begins and its number below the middle of it."""
    for year in sorted({month.start.year for month in months}):
        start, end = date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
        if start > x.low:
            yield f'<line class="grid" x1="{x(start)}" x2="{x(start)}" y1="{top}" y2="{bottom}"/>'
        middle = (max(start, x.low) + min(end, x.high)) / 2
        yield text(x(middle), bottom + 24, str(year), "mid")


def draw_temperature(months: Sequence[Window], trend: Sequence[Window], x: Scale) -> Iterator[str]:
    """Yield the upper panel: the band between the mean daily minimum and maximum, and the trend inside it."""
    low = 5 * int(min(month.temp_min for month in months) // 5)
    high = 5 * int(max(month.temp_max for month in months) // 5 + 1)
    y = Scale(low, high, 350, 120)
    yield text(LEFT, 100, "Mean daily temperature, °C", "panel")
    yield from draw_grid(y, 5)
    maxima = [(x(month.middle), y(month.temp_max)) for month in months]
    minima = [(x(month.middle), y(month.temp_min)) for month in months]
    means = [(x(half.middle), y((half.temp_min + half.temp_max) / 2)) for half in trend]
    band = " ".join(f"{px},{py}" for px, py in maxima + minima[::-1])
    yield f'<polygon class="band" points="{band}"/>'
    for points, kind, name in (
        (maxima, "max", "maximum"),
        (minima, "min", "minimum"),
        (means, "trend", "half-year mean"),
    ):
        if points:
            yield polyline(points, kind)
            yield text(RIGHT + 6, points[-1][1] + 4, name, kind)


def draw_precipitation(months: Sequence[Window], x: Scale) -> Iterator[str]:
    """Yield the lower panel: a bar per month, the wettest one with its amount."""
    wettest = max(months, key=lambda month: month.precipitation)
    y = Scale(0, 50 * int(wettest.precipitation // 50 + 1), 550, 410)
    yield text(LEFT, 390, "Precipitation per month, mm", "panel")
    yield from draw_grid(y, 100)
    for month in months:
        left, right = x(month.start.toordinal()), x(month.end.toordinal() + 1)
        top = y(month.precipitation)
        kind = "rain wettest" if month is wettest else "rain"
        yield (
            f'<rect class="{kind}" x="{left + 1.5:.1f}" width="{right - left - 3:.1f}" y="{top}" '
            f'height="{y(0) - top:.1f}" rx="1.5">'
            f"<title>{month.start:%Y-%m}: {month.precipitation} mm</title></rect>"
        )
    label = f"{wettest.start:%B %Y}, {wettest.precipitation:.0f} mm"
    late = wettest.middle > (x.low + x.high) / 2
    yield text(x(wettest.middle), y(wettest.precipitation) - 6, label, "label end" if late else "label")
    yield f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{y(0)}" y2="{y(0)}"/>'


def draw(months: Sequence[Window], trend: Sequence[Window]) -> str:
    """Return the chart of at least one month as an SVG document."""
    x = Scale(months[0].start.toordinal(), months[-1].end.toordinal() + 1, LEFT, RIGHT)
    wet = sum(month.precipitation for month in months)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 40, "Seattle’s weather by month", "title"),
        text(
            LEFT,
            62,
            f"{months[0].start:%B %Y} to {months[-1].end:%B %Y}, {wet:,.0f} mm in all. "
            "Data: NOAA National Centers for Environmental Information",
        ),
        *draw_years(months, x, 120, 550),
        *draw_temperature(months, trend, x),
        *draw_precipitation(months, x),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def outputs_of_batch() -> Path:
    """Return the folder of the batch's outputs: the one that holds this run's own."""
    url = os.environ.get("SATURN_RUN_REMOTE_OUTPUT_PATH", "file://output/plot")
    if not url.startswith("file://"):
        sys.exit(f"this example reads outputs from file:// only, not from {url}")
    return Path(url.removeprefix("file://")).parent


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, help="the batch's outputs (default: where this run's go)")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(os.environ.get("SATURN_RUN_LOCAL_RESULTS_DIR", ".")),
        help="where weather.svg goes (default: the run's results directory)",
    )
    return parser.parse_args()


def main() -> int:
    """Return 0, or 1 when there is nothing to draw."""
    args = parse_args()
    outputs: Path = args.outputs or outputs_of_batch()
    months, trend = read_windows(outputs, "month"), read_windows(outputs, "trend")
    if not months:
        print(f"no summaries match {outputs}/month/*/results/*.json", file=sys.stderr)
        return 1
    aside = args.results / ".weather.svg.tmp"
    aside.write_text(draw(months, trend), encoding="utf-8")
    aside.replace(args.results / "weather.svg")
    print(f"weather.svg: {len(months)} months, {len(trend)} half-years")
    return 0


if __name__ == "__main__":
    sys.exit(main())
