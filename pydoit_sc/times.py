"""Moments and times as people read them, and as programs do; what is no moment, since anybody may have written it, has words, too."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo

#: Seconds that a run may take: 30 years.
LONGEST = 1e9
_UNKNOWN = "an unknown time"


def local(seconds: float) -> str:
    """Return a moment, in seconds since the epoch, by this machine's clock.

    >>> local(1e300)
    'an unknown time'
    """
    moment = moment_of(seconds, None)
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else _UNKNOWN


def utc(seconds: float | None) -> str | None:
    """Return a moment as ISO 8601 has it; None where it is none.

    >>> utc(1795593114.76), utc(float("nan"))
    ('2026-11-25T07:51:54Z', None)
    """
    moment = None if seconds is None else moment_of(seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def span(seconds: float) -> str:
    """Return a length of time: `2 d 4 h`, `1:02:03`, `2:03` under an hour, `4.5 s` under a minute.

    >>> span(190_000), span(3723.4), span(123), span(59.6), span(0.0451), span(float("inf"))
    ('2 d 4 h', '1:02:03', '2:03', '59.6 s', '0.045 s', 'an unknown time')
    """
    if not 0 <= seconds < LONGEST:
        return _UNKNOWN
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds >= 0.1 else f"{seconds:.3f} s"
    return clock(seconds)


def about(seconds: float) -> str:
    """Return a length of time that is not known exactly, in two figures.

    >>> about(44.7), about(750), about(11_000), about(500_000), about(float("inf"))
    ('45 s', '12 min', '3.1 h', '5.8 days', 'an unknown time')
    """
    if not 0 <= seconds < LONGEST:
        return _UNKNOWN
    units = (("days", 86_400, 172_800), ("h", 3_600, 5_400), ("min", 60, 90))
    name, length = next(((name, length) for name, length, least in units if seconds >= least), ("s", 1))
    return f"{roughly(seconds / length)} {name}"


def roughly(number: float) -> str:
    """Return a number in two figures, from 10 on as a whole one.

    >>> roughly(0.1234), roughly(3.04), roughly(41.4), roughly(12_345)
    ('0.12', '3', '41', '12,345')
    """
    return f"{number:,.0f}" if number >= 9.95 else f"{number:.2g}"


def clock(seconds: float) -> str:
    """Return a running time, to the second.

    >>> clock(2.5), clock(62.5), clock(3723), clock(190_000), clock(float("inf"))
    ('0:02', '1:02', '1:02:03', '2 d 4 h', 'an unknown time')
    """
    if not 0 <= seconds < LONGEST:
        return _UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24:,} d {hours % 24} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def pace(per_second: float) -> str:
    """Return a pace in the smallest unit in which it is at least 1.

    >>> pace(12.0), pace(0.05), pace(0.001)
    ('12 a second', '3.0 a minute', '3.6 an hour')
    """
    units = {"a second": 1, "a minute": 60, "an hour": 3600}
    unit = next((unit for unit, seconds in units.items() if per_second * seconds >= 1), "an hour")
    number = per_second * units[unit]
    return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"


def moment_of(seconds: float, zone: tzinfo | None = timezone.utc) -> datetime | None:
    """Return a moment in a zone, by this machine's clock if None; None where it is none."""
    try:
        return datetime.fromtimestamp(seconds, zone)
    except (ValueError, OverflowError, OSError):
        return None
