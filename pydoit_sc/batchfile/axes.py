"""One axis of a matrix: from what the batchfile says to the list of its values."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from pydoit_sc.batchfile.errors import did_you_mean
from pydoit_sc.batchfile.read import failure, parse_csv, read_text
from pydoit_sc.batchfile.schema import InvalidError, invalid, show, string
from pydoit_sc.batchfile.values import SCALARS, FilePath, Row, Value
from pydoit_sc.batchfile.windows import Length, count, parse_length, windows

#: A matrix of more combinations is a mistake, and would fill the memory.
MOST = 10_000_000

_WINDOW_KEYS = ("from", "to", "every", "span")
_KEYS = (*_WINDOW_KEYS, "range", "csv", "glob")


@dataclass(frozen=True)
class Source:
    """Where the batchfile lies."""

    folder: str  # absolute
    file: str  # as messages name it


def read_axis(spec: object, source: Source) -> list[Value]:
    """Return an axis' values, at least one; raise InvalidError, or BatchfileError about another file."""
    if isinstance(spec, list):
        return _listed(spec)
    if not isinstance(spec, dict):
        raise invalid("a list of values, or a table with `from`, `range`, `csv` or `glob`", spec)
    unknown = [key for key in spec if key not in _KEYS]
    if unknown:
        raise InvalidError(*(((key,), f"unknown key{did_you_mean(key, _KEYS)}") for key in unknown))
    kinds = [key for key in ("range", "csv", "glob") if key in spec]
    if any(key in spec for key in _WINDOW_KEYS):
        kinds.append("from")
    if len(kinds) != 1:
        raise invalid("one of `from`, `range`, `csv` and `glob`", spec)
    return _READERS[kinds[0]](spec, source)


def _listed(spec: list[Any]) -> list[Value]:
    if not spec:
        raise invalid("at least one value", spec)
    wrong = [i for i, value in enumerate(spec) if not isinstance(value, SCALARS)]
    if wrong:
        expected = "expected a string, a number, true, false or a date"
        raise InvalidError(*(((i,), f"{expected}, found {show(spec[i])}") for i in wrong))
    return spec


def _limit(values: int) -> None:
    if values > MOST:
        raise InvalidError(((), f"a matrix has at most {MOST:,} combinations, this axis alone {values:,}"))
    if values < 1:
        raise InvalidError(((), "the axis has no values"))


def _range(spec: Mapping[str, Any], _: Source) -> list[Value]:
    numbers = spec["range"]
    if not isinstance(numbers, list) or len(numbers) not in (2, 3):
        raise InvalidError((("range",), f"expected [start, stop, step], found {show(numbers)}"))
    for i, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not -1e15 <= number <= 1e15:
            raise InvalidError((("range", i), f"expected a number, found {show(number)}"))
    start, stop, step = numbers if len(numbers) == 3 else (*numbers, 1)
    if step == 0:
        raise InvalidError((("range",), "the step is 0"))
    if all(isinstance(number, int) for number in numbers):
        _limit(max(0, -((start - stop) // step)))
        return list(range(start, stop, step))
    first, limit, width = (Decimal(repr(number)) for number in (start, stop, step))  # 0.3, not 3 × 0.1
    size = int(((limit - first) / width).to_integral_value(ROUND_CEILING))
    _limit(size)
    return [float(first + i * width) for i in range(size)]


def _windows(spec: Mapping[str, Any], _: Source) -> list[Value]:
    missing = [key for key in ("from", "to", "every") if key not in spec]
    if missing:
        raise InvalidError(((), f"windows need `from`, `to` and `every`; {missing[0]} is missing"))
    start, stop = spec["from"], spec["to"]
    for key in ("from", "to"):
        if not isinstance(spec[key], date):
            raise InvalidError(
                ((key,), f"expected a date or a date-time without quotes, found {show(spec[key])}")
            )
    if _kind(start) != _kind(stop):
        raise InvalidError((("to",), f"expected {_kind(start)} as in `from`, found {_kind(stop)}"))
    every = _length(spec, "every", start)
    span = _length(spec, "span", start) if "span" in spec else every
    if stop < start:
        raise InvalidError((("to",), f"{show(stop)} is before `from`, {show(start)}"))
    _limit(count(start, stop, every))
    try:
        return list(windows(start, stop, every, span))
    except (OverflowError, ValueError):
        raise InvalidError(((), "the windows go past the year 9999")) from None


def _kind(value: date) -> str:
    if not isinstance(value, datetime):
        return "a date"
    return "a date-time" if value.tzinfo is None else "a date-time with an offset"


def _length(spec: Mapping[str, Any], key: str, start: date) -> Length:
    try:
        length = parse_length(spec[key])
    except (ValueError, OverflowError) as error:
        raise InvalidError(((key,), f"expected {error}, found {show(spec[key])}")) from None
    if length.fixed.seconds and not isinstance(start, datetime):
        found = show(spec[key])
        raise InvalidError(
            ((key,), f"windows of dates have no hours and minutes; found {found}, give date-times")
        )
    return length


def _csv(spec: Mapping[str, Any], source: Source) -> list[Value]:
    name = _path(spec, "csv")
    file = os.path.join(os.path.dirname(source.file), name)
    rows = parse_csv(read_text(os.path.join(source.folder, name), file), file)
    if not rows:
        raise failure(file, "no rows below the header")
    return [Row(cells) for cells in rows]


def _glob(spec: Mapping[str, Any], source: Source) -> list[Value]:
    pattern = _path(spec, "glob")
    found = sorted(glob.glob(pattern, root_dir=source.folder, recursive=True))
    if not found:
        raise InvalidError((("glob",), f"no file matches {show(pattern)} in {source.folder}"))
    return [FilePath(path) for path in found]


def _path(spec: Mapping[str, Any], key: str) -> str:
    try:
        return os.path.expanduser(string(spec[key]))
    except InvalidError as error:
        raise InvalidError(*(((key,), message) for _, message in error.faults)) from None


_READERS: dict[str, Callable[[Mapping[str, Any], Source], list[Value]]] = {
    "range": _range,
    "from": _windows,
    "csv": _csv,
    "glob": _glob,
}
