"""Windows of time: half-open spans that start at `from` and every `every` after it.

Months and years are counted on the calendar from `from` itself, so that the windows that start on
31 January and every month after it start on 28 February, then on 31 March.

In a time zone, days and longer lengths are counted on its clocks: the day on which they are put forward has 23 hours.
Hours and minutes are lengths of real time. A time of day that the clocks leave out is that much later; one that they
show twice is the first. What comes out has the offset that is valid then, so that instants compare as instants, which
those of one `zoneinfo` zone do not.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from itertools import count as numbers
from typing import Any, NamedTuple, TypeVar

EXPECTED = 'a length such as "1 day" or "3 months" (minutes, hours, days, weeks, months, years)'

_LENGTH = re.compile(r"\s*([0-9]{1,6})\s*(minute|hour|day|week|month|year)s?\s*")
_NOTHING = timedelta(0)

D = TypeVar("D", bound=date)


class Length(NamedTuple):
    """Calendar months, days or a length of real time; the other two are 0."""

    months: int = 0
    days: int = 0
    time: timedelta = _NOTHING


_UNITS = {
    "minute": Length(time=timedelta(minutes=1)),
    "hour": Length(time=timedelta(hours=1)),
    "day": Length(days=1),
    "week": Length(days=7),
    "month": Length(months=1),
    "year": Length(months=12),
}


class Window(NamedTuple):
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
    return _times(int(match[1]), _UNITS[match[2]])


def _times(n: int, length: Length) -> Length:
    return Length(n * length.months, n * length.days, n * length.time)


def count(start: date, stop: date, every: Length) -> int:
    """Return how many windows start from `start` to `stop`, at most a few too many or, with an offset, one too few."""
    if stop < start:
        return 0
    if every.months:
        return (12 * (stop.year - start.year) + stop.month - start.month) // every.months + 1
    return (stop - start) // (timedelta(days=every.days) + every.time) + 1


def windows(start: date, stop: date, every: Length, span: Length, zone: tzinfo | None = None) -> list[Window]:
    """Return the windows that start from `start` to `stop`; raise OverflowError past the year 9999.

    With a zone, both are date-times; those without an offset are what its clocks show. A day that they leave out is no
    window: of two with the same start the first is left out, and one that would have no length.
    """
    first, stop = _on_clocks(start, zone), _settle(_on_clocks(stop, zone), zone)
    origin = _settle(first, zone)
    found: list[Window] = []
    for n in numbers():
        try:
            begin = _after(origin, first, _times(n, every), zone)
        except OverflowError:
            break  # which is past `stop`, too
        if begin > stop:
            break
        if every.months and span.months:
            # The end is a start: no gaps.
            end = _settle(_add(first, Length(n * every.months + span.months)), zone)
        else:
            shown = _on_clocks(begin, zone) if every.time else _add(first, _times(n, every))
            end = _after(begin, shown, span, zone)
        if found and found[-1].start == begin:
            found.pop()
        if begin < end:
            found.append(Window(begin, end))
    return found


def _after(instant: Any, shown: Any, length: Length, zone: tzinfo | None) -> Any:
    """Return what comes so much later than an instant at which the clocks of a zone are thought to show `shown`."""
    if not length.time:
        return _settle(_add(shown, length), zone)
    later = instant + length.time
    return later if zone is None else _with_offset(later, zone)


def _on_clocks(value: D, zone: tzinfo | None) -> D:
    """Return what the clocks of a zone show, without an offset; the value itself without a zone."""
    if zone is None or not isinstance(value, datetime):
        return value
    return value if value.tzinfo is None else value.astimezone(zone).replace(tzinfo=None)


def _settle(shown: Any, zone: tzinfo | None) -> Any:
    """Return the instant at which the clocks of a zone show this."""
    return shown if zone is None else _with_offset(shown.replace(tzinfo=zone).astimezone(timezone.utc), zone)


def _with_offset(instant: Any, zone: tzinfo) -> Any:
    there = instant.astimezone(zone)
    return there.replace(tzinfo=timezone(there.utcoffset(), there.tzname()), fold=0)


def _add(shown: D, length: Length) -> D:
    """Return what the calendar has so many months or days later."""
    if not length.months:
        return shown + timedelta(days=length.days) if length.days else shown
    year, month = divmod(12 * shown.year + shown.month - 1 + length.months, 12)
    if year > 9999:
        raise OverflowError
    return shown.replace(year, month + 1, min(shown.day, calendar.monthrange(year, month + 1)[1]))
