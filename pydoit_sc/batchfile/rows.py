"""Values of several parts: the tables in a list, and what `include` adds to them or to the rows of a CSV file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydoit_sc.batchfile.errors import InvalidError, Where, did_you_mean, show
from pydoit_sc.batchfile.values import SCALAR_WORDS, SCALARS, Cell, Row, Scalar, Value, text

_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read_tables(values: Sequence[Any]) -> list[Value]:
    """Return the rows that a list of tables means, all with the same keys; raises InvalidError."""
    rows: list[Value] = []
    first: Row | None = None
    for i, value in enumerate(values):
        try:
            row = Row(_cells(value)) if first is None else row_like(first, _cells(value))
        except InvalidError as error:
            raise below(i, error) from None
        first = first or row
        rows.append(row)
    return rows


def row_like(first: Row, cells: Mapping[str, Scalar]) -> Row:
    """Return the row of these cells for a list that begins with `first`; raises InvalidError where it has other keys."""
    faults: list[tuple[Where, str]] = [
        ((key,), f"unknown key{did_you_mean(key, first.cells)}") for key in cells if key not in first.cells
    ]
    faults += [((), f"no `{key}`, which the first one has") for key in first.cells if key not in cells]
    if faults:
        raise InvalidError(*faults)
    if any(isinstance(cell, Cell) for cell in first.cells.values()):
        return Row({key: Cell(text(cell)) for key, cell in cells.items()})
    return Row(cells)


def below(part: str | int, error: InvalidError) -> InvalidError:
    """Return the error of a value for the table or list that has it as this part."""
    return InvalidError(*(((part, *where), said) for where, said in error.faults))


def _cells(value: Any) -> Mapping[str, Scalar]:
    if not isinstance(value, dict) or not value:
        raise InvalidError(
            ((), f"expected a table with keys, as others of the list are, found {show(value)}")
        )
    faults: list[tuple[Where, str]] = []
    for key, cell in value.items():
        if not _KEY.fullmatch(key):
            faults.append(((key,), "a key has letters, digits, `_` and `-`"))
        elif not isinstance(cell, SCALARS):
            faults.append(((key,), f"expected {SCALAR_WORDS}, found {show(cell)}"))
    if faults:
        raise InvalidError(*faults)
    return value
