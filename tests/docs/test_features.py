"""docs/features.md claims nothing without a test."""

from __future__ import annotations

import re

from tests.docs.pages import DOCS, ROOT


def _tables() -> list[list[list[str]]]:
    """Return the rows of the page's tables: who has what, what shows it, what is missing."""
    tables = re.findall(r"^\| --- .*\n((?:\|.*\n)+)", (DOCS / "features.md").read_text(), re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
        for table in tables
    ]


def test_each_yes_has_a_test_and_nothing_else_has_one() -> None:
    features, shown, missing = _tables()
    assert len(features) > 30
    assert {len(row) for row in features} == {11}
    assert [row[0] for row in features if row[1] == "Y"] == [name for name, _ in shown]
    assert [row[0] for row in features if row[1] in ("P", "N")] == [name for name, _ in missing]
    assert len(features) == len(shown) + len(missing)


def test_the_tests_exist() -> None:
    for name, test in _tables()[1]:
        file, function = test.strip("`").split("::")
        text = (ROOT / file).read_text()
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), (name, test)
