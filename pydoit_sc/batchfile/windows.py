"""Windows of time: half-open spans that start at `from` and every `every` after it.

Months and years are counted on the calendar from `from` itself, so that the windows that start on
31 January and every month after it start on 28 February, then on 31 March.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

EXPECTED = 'a length such as "1 day" or "3 months" (minutes, hours, days, weeks, months, years)'

_LENGTH = re.compile(r"\s*([0-9]{1,6})\s*(minute|hour|day|week|month|year)s?\s*")
_FIXED = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class Length:
    """A number of calendar months, or a fixed length of time; the other is 0."""

    months: int
    fixed: timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time; dates or date-times, as `from` was written."""

    start: date
    end: date  # the first instant after the window

    @property
    def last(self) -> date:
        """The window's last day; only for dates."""
        if isinstance(self.start, datetime):
            raise LookupError("only windows of dates have a last day; these are date-times")
        return self.end - timedelta(days=1)


def parse_length(value: object) -> Length:
    """Return the length that "3 months" means; raise ValueError with what was expected."""
    match = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError(EXPECTED)
    count, unit = int(match[1]), match[2]
    if unit in _MONTHS:
        return Length(count * _MONTHS[unit], timedelta(0))
    return Length(0, count * _FIXED[unit])


def count(start: date, stop: date, every: Length) -> int:
    """Return how many windows start from `start` to `stop`, at most one too many."""
    if stop < start:
        return 0
    if every.months:
        return (12 * (stop.year - start.year) + stop.month - start.month) // every.months + 1
    return (stop - start) // every.fixed + 1


def windows(start: date, stop: date, every: Length, span: Length) -> list[Window]:
    """Return the windows that start from `start` to `stop`; raise OverflowError past the year 9999."""
    found = []
    for n in range(count(start, stop, every)):
        begin = _after(start, n, every)
        if begin > stop:
            break
        if every.months and span.months:
            end = _add_months(start, n * every.months + span.months)  # the end is a start: no gaps
        else:
            end = _after(begin, 1, span)
        found.append(Window(begin, end))
    return found


def _after(start: date, n: int, length: Length) -> date:
    return _add_months(start, n * length.months) if length.months else start + n * length.fixed


def _add_months(start: date, months: int) -> date:
    year, month = divmod(12 * start.year + start.month - 1 + months, 12)
    if year > 9999:
        raise OverflowError
    return start.replace(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))
