"""List the users seen in a window of days, as CSV in the run's results directory."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

Seen = Mapping[str, list[date]]  # the days of each user


def read_seen(path: Path) -> Seen:
    """Return the days on which each user was seen, the earliest first."""
    seen: dict[str, list[date]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            seen.setdefault(row["email"], []).append(date.fromisoformat(row["date"]))
    return {email: sorted(days) for email, days in seen.items()}


def make_rows(seen: Seen, args: argparse.Namespace) -> list[dict[str, object]]:
    """Return a row per user seen from `start_dt` up to, and without, `end_dt`."""
    rows = []
    for email, days in sorted(seen.items()):
        visits = sum(args.start_dt <= day < args.end_dt for day in days)
        if not visits:
            continue
        row: dict[str, object] = {"email": email, "visits": visits}
        if args.enrich:
            row["domain"] = email.partition("@")[2]
        if args.first_seen:
            row["first_seen"] = days[0].isoformat()
        rows.append(row)
    return rows


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start-dt", type=date.fromisoformat, required=True, help="first day")
    parser.add_argument("--end-dt", type=date.fromisoformat, required=True, help="the day after the last one")
    parser.add_argument("--enrich", action="store_true", help="add a column: the domain of the address")
    parser.add_argument("--first-seen", action="store_true", help="add a column: the user's first day of all")
    parser.add_argument("--users", type=Path, default=Path(__file__).with_name("users.csv"))
    return parser.parse_args()


def main() -> int:
    """Return 0, or 1 when nobody was seen."""
    args = parse_args()
    rows = make_rows(read_seen(args.users), args)
    if not rows:
        print(f"nobody was seen from {args.start_dt} to {args.end_dt}", file=sys.stderr)
        return 1
    results = Path(os.environ.get("SATURN_RUN_LOCAL_RESULTS_DIR", "."))
    with (results / "users.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} users from {args.start_dt} to {args.end_dt}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
