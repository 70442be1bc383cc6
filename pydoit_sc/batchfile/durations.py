"""Lengths of time as people write them: `90s`, `1.5 h`, `1 day`, `1h 30m`."""

from __future__ import annotations

import math
import re

EXPECTED = 'a duration such as "90s", "10m", "1.5 h" or "1 day", or a number of seconds'

#: Timers of the operating system and of Python take no more.
LONGEST = 100 * 365.25 * 86400.0

_SECONDS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_PART = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([A-Za-z]*)\s*")
_SUM = re.compile(r"(?:[0-9.]+\s*[A-Za-z]+\s*)+")  # every part with its unit: "1h 30m", not "1 2"


def parse_duration(value: object) -> float:
    """Return a duration in seconds; raise ValueError with what was expected."""
    if isinstance(value, str):
        seconds = _parse(value.strip())
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if 0 <= value <= LONGEST else math.nan
    else:
        raise ValueError(EXPECTED)
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"{EXPECTED}, from 0 to 100 years")
    return seconds


def _parse(text: str) -> float:
    if _PART.fullmatch(text) is None and _SUM.fullmatch(text) is None:
        raise ValueError(EXPECTED)
    parts = _PART.findall(text)
    if any(unit.lower() not in _SECONDS for _, unit in parts) or "".join(
        re.sub(r"\s", "", number + unit) for number, unit in parts
    ) != re.sub(r"\s", "", text):
        raise ValueError(EXPECTED)
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)
