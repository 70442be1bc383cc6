"""Tables as the seed's pages show them."""

from __future__ import annotations

from pydoit_sc.show.tables import table


def test_a_row_is_one_line_and_ends_without_spaces_to_guess() -> None:
    text = table(("name", "code"), [("a\nb", 0), ("c\x1b[2J", None)])
    assert text.splitlines() == ["name        code", "----------------", "a\\nb        0", "c\\x1b[2J"]
