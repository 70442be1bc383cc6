"""Conditions on the values of a run's axes, as `--where` has them: `seed<10`, `model=res*`, `month>2012-06`."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from pydoit_sc.batch import Axes, is_pattern
from pydoit_sc.batchfile.values import DATE, NUMBER
from pydoit_sc.errors import UserError, shortened

_CONDITION = re.compile(r"([^=!<>]+)(!=|<=|>=|=|<|>)(?!=)(.*)", re.DOTALL)  # and not `model==a`
_PART_OF_DATE = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d)?)?(?P<offset>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_WHOLE = "0001-01-01T00:00:00"  # what a part of a date is filled up with


class Condition(NamedTuple):
    """What the value of an axis has to be."""

    axis: str
    sign: str
    value: str

    def holds(self, axes: Axes) -> bool:
        """Return whether it holds for a run with these values; not for one that has no such axis.

        >>> axes = {"model": "a", "month.start": "2012-03-01", "seed": 10, "ticker": "0700"}
        >>> said = ("model", "!=", "b"), ("seed", "<", "9"), ("month", "=", "2012-*"), ("ticker", "=", "700")
        >>> [Condition(*one).holds(axes) for one in said]
        [True, False, True, False]
        """
        found = axes.get(self.axis, axes.get(f"{self.axis}.start"))  # a window is told by its start
        if found is None or self.fault(axes):
            return False
        text = str(found).lower() if isinstance(found, bool) else str(found)
        if self.sign in ("=", "!="):
            return self._is(text, is_number=not isinstance(found, str | bool)) is (self.sign == "=")
        order = _compare(text, self.value)
        return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[self.sign]

    def _is(self, text: str, *, is_number: bool) -> bool:
        """Return whether a value is the one that is meant: a text as it stands, a number of this size, or within this date."""
        if text == self.value or (is_pattern(self.value) and fnmatchcase(text, self.value)):
            return True
        if is_number:
            return NUMBER.fullmatch(self.value) is not None and Decimal(text) == Decimal(self.value)
        return _compare_dates(text, self.value) == 0

    def fault(self, axes: Axes) -> str:
        """Return why this cannot be said of a run's window, which is told by dates; "" if it can."""
        start = axes.get(self.axis if self.axis.endswith(".start") else f"{self.axis}.start")
        if not isinstance(start, str) or is_pattern(self.value):
            return ""
        if not _is_date(self.value):
            what = f"a date, or a part of one, as in `{start}`"
        elif _offset(self.value) and not _offset(start):
            what = f"a date without an offset, as in `{start}`"
        elif len(self.value.removesuffix(_offset(self.value))) > len(start.removesuffix(_offset(start))):
            what = f"a date, as in `{start}`"
        else:
            return ""
        return f"--where: {self.axis}: expected {what}, found `{shortened(self.value)}`"


def parse_condition(text: str) -> Condition:
    """Return the condition that a user has written; raises UserError."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UserError(
            f"--where: expected a condition such as 'model=a' or 'seed<10', found `{shortened(text)}`"
        )
    return Condition(found[1].strip(), found[2], found[3].strip())


def _compare(one: str, other: str) -> int:
    """Return -1, 0 or 1: two numbers by size, dates by time, and all else as texts."""
    order = _compare_dates(one, other)
    if order is not None:
        return order
    if NUMBER.fullmatch(one) and NUMBER.fullmatch(other):
        return (Decimal(one) > Decimal(other)) - (Decimal(one) < Decimal(other))
    return (one > other) - (one < other)


def _compare_dates(one: str, other: str) -> int | None:
    """Return the order of two ISO dates in time, as far as the other one says; None where they are no dates.

    Where both have an offset from UTC it is that of moments, else that of the clocks there.

    >>> [_compare_dates(day, "2012-06") for day in ("2012-05-31", "2012-06-30", "2012-07-01")]
    [-1, 0, 1]
    >>> _compare_dates("2024-10-27T02:00:00+01:00", "2024-10-27T02:00:00+02:00")
    1
    """
    if not (DATE.match(one) and _is_date(one) and _is_date(other)):
        return None
    if _offset(one) and _offset(other):
        return (_moment(one) > _moment(other)) - (_moment(one) < _moment(other))
    one, other = one[: len(other)].replace(" ", "T"), other.replace(" ", "T")
    return (one > other) - (one < other)


@lru_cache(maxsize=1024)
def _offset(part: str) -> str:
    """Return the offset from UTC that a date has, "" if none."""
    found = _PART_OF_DATE.fullmatch(part)
    return (found["offset"] or "") if found else ""


@lru_cache(maxsize=1024)  # the value of a condition is the same for each run
def _is_date(part: str) -> bool:
    """Return whether the calendar has a date, or some part of one."""
    try:
        return _PART_OF_DATE.fullmatch(part) is not None and bool(_moment(part))
    except ValueError:
        return False


def _moment(part: str) -> datetime:
    """Return the first moment of a date or of a part of one; raises ValueError."""
    offset = _offset(part)
    clock = part.removesuffix(offset)
    return datetime.fromisoformat(clock + _WHOLE[len(clock) :] + offset.replace("Z", "+00:00"))
