"""The values in a file of results: a table of JSON flattened to dotted keys, the rows of a CSV with numbers as numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydoit_sc.batchfile.csvfile import parse_csv
from pydoit_sc.batchfile.errors import BatchfileError

Value: TypeAlias = "str | int | float | bool | None"
Values: TypeAlias = "dict[str, Value]"
Order: TypeAlias = "tuple[bool, float, str]"

SUFFIXES = (".json", ".csv")

_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,4000})")  # `007` is a name
_NUMBER = re.compile(
    r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE
)


def rows_in(name: str, data: bytes) -> list[Values]:
    r"""Return the rows of a file `*.json` or `*.csv`; raises ValueError with what is wrong with it.

    Lists in a table of JSON are their text; a list of tables is several rows. What is no table has the key "".

    >>> rows_in("a.json", b'{"loss": 0.5, "test": {"f1": 1, "by class": [1, 2]}}')
    [{'loss': 0.5, 'test.f1': 1, 'test.by class': '[1, 2]'}]
    >>> rows_in("a.json", b'[{"step": 1}, {"step": 2}]'), rows_in("a.json", b"0.25")
    ([{'step': 1}, {'step': 2}], [{'': 0.25}])
    >>> rows_in("a.csv", b"note,step\n#1,1\n,2.5\n")
    [{'note': '#1', 'step': 1}, {'note': None, 'step': 2.5}]
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1:,} is not UTF-8") from None
    return _json_rows(text) if name.endswith(".json") else _csv_rows(text, name)


def _json_rows(text: str) -> list[Values]:
    try:
        found = json.loads(text)
        many = isinstance(found, list) and bool(found) and all(isinstance(item, dict) for item in found)
        return [_table(item) for item in (found if many else [found])]
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None


def _table(found: Any) -> Values:
    row: Values = {}
    for key, value in _flat(found):
        if key in row:
            raise ValueError(f"`{key}` is there twice, once with its dots in one key")
        row[key] = value
    return row


def _flat(found: Any, key: str = "") -> Iterator[tuple[str, Value]]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _flat(value, f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(found, ensure_ascii=False) if isinstance(found, list) else found


def _csv_rows(text: str, name: str) -> list[Values]:
    try:
        rows = parse_csv(text, name, comment="")  # what a run has written is data
    except BatchfileError as error:
        problem = error.problems[0]
        raise ValueError(
            f"line {problem.line}: {problem.message}" if problem.line else problem.message
        ) from None
    return [{column: read_cell(cell) for column, cell in row.items()} for row in rows]


def read_cell(text: str) -> Value:
    """Return the number that a cell holds, else its text; None for an empty one.

    >>> read_cell("-3"), read_cell("1e-3"), read_cell("nan"), read_cell("2012-01"), read_cell("")
    (-3, 0.001, nan, '2012-01', None)
    """
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text or None


def order_of(value: Value) -> Order | None:
    """Return what a value is sorted by: numbers first and by size, texts that are numbers too; None where there is none.

    >>> sorted(["b", "10", 9.5, "a", 10], key=order_of), order_of(None)
    ([9.5, '10', 10, 'a', 'b'], None)
    """
    if isinstance(value, str):
        value = found if (found := read_cell(value.strip())) is not None else value
    if isinstance(value, str):
        return True, 0.0, value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return False, value, ""


def merged(files: Mapping[str, list[Values]]) -> Iterator[list[tuple[str, str, Value]]]:
    """Yield the rows of a run, as file, key and value, from the rows of its files.

    Files of one row are part of every row; rows of files with several follow each other.

    >>> for row in merged({"a.json": [{"n": 3}], "b.csv": [{"loss": 2}, {"loss": 1}]}):
    ...     print(row)
    [('a.json', 'n', 3), ('b.csv', 'loss', 2)]
    [('a.json', 'n', 3), ('b.csv', 'loss', 1)]
    """
    common = [
        (name, key, value) for name, rows in files.items() if len(rows) == 1 for key, value in rows[0].items()
    ]
    several = {name: rows for name, rows in files.items() if len(rows) > 1}
    for name, rows in several.items():
        for row in rows:
            yield [*common, *((name, key, value) for key, value in row.items())]
    if not several:
        yield common
