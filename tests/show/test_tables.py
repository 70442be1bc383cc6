"""Tables as the seed's pages show them."""

from __future__ import annotations

import sys

import pytest

from pydoit_sc.show import tables
from pydoit_sc.show.tables import LONGEST, table


def test_a_row_is_one_line_and_ends_without_spaces_to_guess() -> None:
    lines = table(("name", "code"), [("a\nb", 0), ("c\x1b[2J", None)])
    assert lines.splitlines() == ["name        code", "----------------", "a\\nb        0", "c\\x1b[2J"]


def test_so_is_the_line_of_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = ("a\nb", "k" * 3000)
    rows = [("1", 2)] * 3
    for most in (tables.MANY, 2):
        monkeypatch.setattr(tables, "MANY", most)
        lines = table(headers, rows, right=headers[:1]).splitlines()
        assert lines[0] == f"a\\nb    {'k' * (LONGEST - 1)}…"
        assert lines[2] == "   1    2"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    for most in (2, 3):
        monkeypatch.setattr(tables, "MANY", most)
        assert table(("a\nb", "k" * 300), rows).splitlines()[0] == f"a\\nb    {'k' * 26}…{'k' * 25}"


def test_numbers_to_compare_are_aligned_right() -> None:
    lines = table(("name", "runs"), [("a", "1,000"), ("b", "20")], right=("runs",))
    assert lines.splitlines() == ["name     runs", "-------------", "a       1,000", "b          20"]


def test_a_long_cell_is_cut() -> None:
    long = "x" * LONGEST
    assert table(("a",), [(long,), (f"{long}x",), ("\n" * LONGEST,)]).splitlines()[2:] == [
        long,
        f"{long[:-1]}…",
        "\\n" * (LONGEST // 2 - 1) + "\\…",
    ]


@pytest.mark.parametrize("right", [(), ("code",), ("name", "command")])
def test_a_long_table_looks_like_a_short_one(right: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("a", 0, "echo  1"), ("bcdef", None, ""), ("", 127, "x" * 40), (" b ", -1, "true\n")]
    short = table(("name", "code", "command"), rows, right)
    monkeypatch.setattr(tables, "MANY", 3)
    assert table(("name", "code", "command"), rows, right) == short
