"""The values of an axis: what `{axis}` and `{axis.attribute}` stand for, and how values are written."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, time
from typing import NamedTuple, Union

from pydoit_sc.batchfile.windows import Window
from pydoit_sc.utf8 import escaped

Scalar = Union[str, int, float, bool, date, datetime, time]  # noqa: UP007 - evaluated at run time, Python 3.10
SCALARS = (str, int, float, bool, date, datetime, time)
SCALAR_WORDS = "a string, a number, true, false or a date"

#: A matrix of more combinations is a mistake, and would fill the memory.
MOST = 10_000_000

#: What values of axes look like, as texts: a number as a whole, a date or date-time at its beginning.
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_UNSAFE = re.compile(r"[^\w.,+-]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")
_ESCAPE = re.compile(r"%(.)", re.DOTALL)
_HUGE = re.compile(r"\d{5}")  # in any script: a width of 99999 and more would fill the memory


class Cell(str):
    """A cell of a CSV file: the text as it is written, and in a format the number that it spells, if it does.

    >>> str(Cell("007")), format(Cell("007"), "05d"), format(Cell("1e3"), ".1f"), format(Cell("x"), ">3")
    ('007', '00007', '1000.0', '  x')
    """

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        kinds = (int, float) if _INTEGER.fullmatch(self) else (float,) if NUMBER.fullmatch(self) else ()
        for kind in kinds:
            with suppress(ValueError):
                return format(kind(self), spec)
        return super().__format__(spec)


class Row(NamedTuple):
    """A row of a CSV file, or a table in a list."""

    cells: Mapping[str, Scalar]


class FilePath(NamedTuple):
    """A file that a glob found, from the batchfile's folder."""

    path: str


Value = Union[Scalar, Window, Row, FilePath]  # noqa: UP007


def too_many(values: int) -> str | None:
    """Return the message for an axis of more values than a matrix may have combinations."""
    return (
        f"a matrix has at most {MOST:,} combinations, this axis alone {values:,}" if values > MOST else None
    )


def attributes(value: Value) -> list[str]:
    """Return what a placeholder may name of a value: "" for the value itself, or attributes."""
    if isinstance(value, Window):
        return ["start", "end"] if isinstance(value.start, datetime) else ["start", "end", "last"]
    if isinstance(value, Row):
        return list(value.cells)
    return ["", "stem", "name"] if isinstance(value, FilePath) else [""]


def attribute(value: Value, name: str) -> Scalar:
    """Return one of `attributes(value)`; raise LookupError if it is none of them."""
    if isinstance(value, Row):
        return value.cells[name]
    if name not in attributes(value):
        raise LookupError(name)
    if isinstance(value, Window):
        return {"start": value.start, "end": value.end}.get(name) or value.last
    if isinstance(value, FilePath):
        base = os.path.basename(value.path)
        return {"": value.path, "name": base, "stem": os.path.splitext(base)[0]}[name]
    return value


def _seconds(value: date) -> str:
    """Return the seconds since 1970 that `%s` stands for; Python would take the machine's own time zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(
            "`%s`, the seconds since 1970, needs a date-time with an offset, or `tz` of a window"
        )
    return str(math.floor(value.timestamp()))


def parts(value: Value) -> Mapping[str, Scalar]:
    """Return what tells a value from others, by attribute; "" for the value itself."""
    if isinstance(value, Row):
        return value.cells
    if isinstance(value, Window):
        return {"start": value.start}
    return {"": value.path if isinstance(value, FilePath) else value}


def plain(value: Scalar) -> str | int | float | bool:
    """Return a value as JSON has it."""
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return value
    return text(value)


def text(value: Scalar, spec: str = "") -> str:
    """Write a value, by a Python format spec if there is one; raise ValueError where that cannot be."""
    if spec:
        if _HUGE.search(spec):
            raise ValueError("a width of five digits")
        if "%s" in spec and isinstance(value, date):
            spec = _ESCAPE.sub(lambda escape: _seconds(value) if escape[1] == "s" else escape[0], spec)
        return format(value, spec)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()
    return str(value)


def label(value: Value) -> str:
    """Return a value as a part of a run's default name: one segment, without characters that names refuse."""
    if isinstance(value, Row):
        return "_".join(label(cell) for cell in value.cells.values())
    if isinstance(value, Window):
        value = value.start
    if isinstance(value, FilePath):
        value = attribute(value, "stem")
    words = text(value)
    if isinstance(value, (datetime, time)):
        words = words.replace(":", "").replace("+0000", "Z")
    return _UNSAFE.sub("-", escaped(words))
