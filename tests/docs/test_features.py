"""docs/features.md claims nothing without a test."""

from __future__ import annotations

import re

from tests.docs.pages import DOCS, ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (DOCS / "features.md").read_text().splitlines()
    if line.startswith("| ")
][2:]


def test_each_row_is_whole() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        assert len(row) == 12, row
        assert row[10] in ("Y", "P", "N"), row
        assert row[11], row


def test_each_yes_names_a_test_that_exists() -> None:
    for row in ROWS:
        if row[10] == "Y":
            file, name = row[11].strip("`").split("::")
            assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), row
