"""What is in files of results: whatever is there, it is rows or an error with words."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoit_sc.outcomes.flatten import Values, order_of, rows_in
from pydoit_sc.outcomes.results import ResultKey, ResultRow
from pydoit_sc.outcomes.resulttable import ResultTable
from pydoit_sc.show import frames
from pydoit_sc.show.rows import write_csv, write_json
from pydoit_sc.store import Record

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def _rows(name: str, data: bytes) -> list[Values]:
    try:
        return rows_in(name, data)
    except ValueError as error:
        assert "\n" not in str(error)
        return []


@given(st.sampled_from(["a.json", "a.csv"]), st.binary(max_size=60))
def test_any_bytes_are_rows_or_an_error(name: str, data: bytes) -> None:
    _rows(name, data)


@settings(max_examples=40)
@given(st.lists(JSON, max_size=3))
def test_any_json_can_be_sorted_and_written(values: list[object]) -> None:
    files = [_rows("a.json", json.dumps(value).encode()) for value in values]
    made = [
        ResultRow("a", {}, Record(0), {ResultKey("a.json", key): value for key, value in row.items()})
        for rows in files
        for row in rows
    ]
    with ResultTable(made) as table:
        table.sorted_by(table.columns, descending=True)
        for write in (write_json, write_csv):
            write(stream := io.StringIO(), table.columns, table.rows(table.columns))
            stream.getvalue().encode(errors="backslashreplace")
        types = [table.types(column) for column in table.columns]
        assert frames.frame(table.columns, types, table.rows(table.columns)).height == len(made)


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_any_values_have_an_order(values: list[str | int | float | bool | None]) -> None:
    known = [key for value in values if (key := order_of(value)) is not None]
    assert sorted(known, reverse=True) == sorted(sorted(known), reverse=True)


@pytest.mark.parametrize("end", ["parquet", "duckdb"])
def test_names_that_a_file_of_a_frame_could_take_for_one(tmp_path: Path, end: str) -> None:
    columns = ["loss", "Loss", "\ud800", 'a"b', ""]
    table = frames.frame(columns, [{int}] * 5, [[1, 2, 3, 4, 5]])
    (frames.write_duckdb if end == "duckdb" else frames.write_parquet)(str(tmp_path / "x"), table)
    if end == "duckdb":
        import duckdb

        with duckdb.connect(str(tmp_path / "x")) as database:
            assert database.sql("FROM results").fetchall() == [(1, 2, 3, 4, 5)]
    else:
        import polars

        assert polars.read_parquet(tmp_path / "x").rows() == [(1, 2, 3, 4, 5)]


def test_numbers_that_are_too_large() -> None:
    (column,) = frames.frame(["x"], [{int}], [[10**400], [-(10**400)], [1]])
    assert column.to_list() == [math.inf, -math.inf, 1.0]
