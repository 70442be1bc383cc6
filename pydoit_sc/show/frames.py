"""Rows as a file of a data frame: Parquet, or a table of a DuckDB database, through the libraries of an extra."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from io import BytesIO
from tempfile import TemporaryDirectory
from typing import Any

from pydoit_sc.errors import UserError
from pydoit_sc.files import rewriting
from pydoit_sc.show.rows import Cell

TABLE = "results"  # in a DuckDB database
_WHOLE = range(-(1 << 63), 1 << 63)


def need(*modules: str) -> None:
    """Import these libraries; raises UserError where one is not installed."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise UserError(f"{error}; pip install 'pydoit-sc[frames]' brings {module}") from error


def frame(columns: Sequence[str], types: Sequence[Collection[type]], rows: Iterable[Sequence[Cell]]) -> Any:
    """Return a polars data frame; `types` are those that the values of each column have.

    A column of numbers has floats where one is a float, or too large for 64 bits. One of numbers and texts has texts.
    """
    import polars as pl  # noqa: PLC0415 - an extra, and slow to import

    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    made = []
    for name, kinds, values in zip(map(_as_str, columns), map(set, types), cells, strict=True):
        if kinds == {bool}:
            one = pl.Series(name, values, pl.Boolean)
        elif kinds == {int} and all(value is None or value in _WHOLE for value in values):
            one = pl.Series(name, values, pl.Int64)
        elif kinds and kinds <= {int, float}:
            one = pl.Series(name, list(map(_as_float, values)), pl.Float64)
        else:
            one = pl.Series(name, list(map(_as_str, values)), pl.String)
        made.append(one)
    return pl.DataFrame(made)


def _as_float(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _as_str(value: Any) -> str | None:
    if isinstance(value, str):  # bytes that are not UTF-8 are shown as such
        return value.encode(errors="backslashreplace").decode()
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def write_parquet(path: str, table: Any) -> None:
    """Write a data frame as a Parquet file, whole or not at all; raises OSError."""
    with rewriting(path) as file:
        file.write(_parquet(table))


def _parquet(table: Any) -> memoryview:
    """Return a data frame as Parquet. Where polars writes a file, what is wrong with the disk is an error of its own."""
    made = BytesIO()
    table.write_parquet(made)
    return made.getbuffer()


def write_duckdb(path: str, table: Any) -> None:
    """Write a data frame as the table TABLE of a database, in place of one that is there; raises OSError, UserError."""
    import duckdb  # noqa: PLC0415 - an extra, and slow to import

    is_new = not os.path.lexists(path)
    with TemporaryDirectory() as folder:
        aside = os.path.join(folder, "rows.parquet")
        with open(aside, "wb") as file:
            file.write(_parquet(table))
        try:
            with duckdb.connect(path) as database:
                rows = database.read_parquet(aside)  # noqa: F841 - the statement means it by its name
                database.execute(f"CREATE OR REPLACE TABLE {TABLE} AS SELECT * FROM rows")
        except duckdb.Error as error:
            if is_new:
                with suppress(OSError):
                    os.unlink(path)
            raise UserError(f"{path}: {str(error).partition(chr(10))[0]}") from error
