"""Rows for programs: CSV, JSON, and JSON Lines, a row at a time; every value whole."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from typing import TextIO, TypeAlias

from pydoit_sc.outcomes.flatten import read_cell

Cell: TypeAlias = "str | int | float | bool | None"
Rows: TypeAlias = "Iterable[Sequence[Cell]]"

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that is one


def write_csv(stream: TextIO, columns: Sequence[str], rows: Rows) -> None:
    """Write rows as CSV below the names of their columns; nothing for a missing value."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(_as_text, columns))
    writer.writerows(map(_as_text, row) for row in rows)


def write_json(stream: TextIO, columns: Sequence[str], rows: Rows) -> None:
    """Write rows as a list of JSON, a line each; null for a missing value, and for NaN and infinity, which JSON lacks."""
    before = "[\n"
    for row in rows:
        stream.write(f"{before}{_json(columns, row)}")
        before = ",\n"
    stream.write("[\n]\n" if before == "[\n" else "\n]\n")


def write_json_lines(stream: TextIO, columns: Sequence[str], rows: Rows) -> None:
    """Write rows as JSON Lines, with values as `write_json` has them."""
    for row in rows:
        stream.write(f"{_json(columns, row)}\n")


def _json(columns: Sequence[str], row: Sequence[Cell]) -> str:
    finite = (None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row)
    return json.dumps(dict(zip(columns, finite, strict=True)))


def _as_text(cell: Cell) -> Cell:
    """Return a cell that a spreadsheet takes as text, not as a formula that it would compute; a number stays one.

    >>> [_as_text(cell) for cell in ("=1+1", "-x", "-0.5", "+1e-3", -3)]
    ["'=1+1", "'-x", '-0.5', '+1e-3', -3]
    """
    if isinstance(cell, bool):
        return str(cell).lower()
    is_formula = isinstance(cell, str) and cell.startswith(_FORMULA) and isinstance(read_cell(cell), str)
    return f"'{cell}" if is_formula else cell
