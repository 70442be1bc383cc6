"""Summarize the days of a weather CSV that lie in one window, as JSON in the run's results directory."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import fmean

WET = 1.0  # mm of precipitation from which a day counts as wet


@dataclass(frozen=True)
class Day:
    """One row of the CSV."""

    date: date
    precipitation: float  # mm
    temp_max: float  # °C
    temp_min: float  # °C


@dataclass(frozen=True)
class Summary:
    """The days from `start` to `end`, both included."""

    start: str
    end: str
    days: int
    temp_max: float  # mean of the daily maxima, °C
    temp_min: float  # mean of the daily minima, °C
    precipitation: float  # total, mm
    wet_days: int


def read_days(path: Path) -> Iterator[Day]:
    """Yield the days of a CSV whose dates read 2012/01/31 or 2012-01-31."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Day(
                date=date.fromisoformat(row["date"].replace("/", "-")),
                precipitation=float(row["precipitation"]),
                temp_max=float(row["temp_max"]),
                temp_min=float(row["temp_min"]),
            )


def summarize(days: list[Day]) -> Summary:
    """Return the summary of at least one day."""
    return Summary(
        start=days[0].date.isoformat(),
        end=days[-1].date.isoformat(),
        days=len(days),
        temp_max=round(fmean(day.temp_max for day in days), 2),
        temp_min=round(fmean(day.temp_min for day in days), 2),
        precipitation=round(sum(day.precipitation for day in days), 1),
        wet_days=sum(day.precipitation >= WET for day in days),
    )


def write_json(path: Path, value: object) -> None:
    """Write `value` so that `path` is whole or not there at all."""
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    aside.replace(path)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path, help="columns date, precipitation, temp_max, temp_min")
    parser.add_argument("--start", type=date.fromisoformat, required=True, help="first day, YYYY-MM-DD")
    parser.add_argument("--end", type=date.fromisoformat, required=True, help="last day, YYYY-MM-DD")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(os.environ.get("SATURN_RUN_LOCAL_RESULTS_DIR", ".")),
        help="where summary.json goes (default: the run's results directory)",
    )
    return parser.parse_args()


def main() -> int:
    """Return 0, or 1 when the window has no days or the CSV cannot be read."""
    args = parse_args()
    try:
        days = [day for day in read_days(args.csv) if args.start <= day.date <= args.end]
    except (OSError, KeyError, ValueError) as error:
        print(f"{args.csv}: {error!r}", file=sys.stderr)
        return 1
    if not days:
        print(f"{args.csv}: no days from {args.start} to {args.end}", file=sys.stderr)
        return 1
    summary = summarize(days)
    write_json(args.results / "summary.json", asdict(summary))
    print(f"{summary.start} to {summary.end}: {summary.days} days, {summary.wet_days} of them wet")
    print(f"{summary.temp_min} to {summary.temp_max} °C, {summary.precipitation} mm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
