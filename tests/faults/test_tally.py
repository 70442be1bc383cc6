"""The table of what was tried: rows are added up, and those of another day stay."""

from __future__ import annotations

from pathlib import Path

from tests.faults.tally import BEGIN, END, Tally


def test_the_table_is_written_between_its_marks_and_nothing_else_is_touched(tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    document.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    monday, tuesday = Tally(), Tally()
    monday.add("disk", "SIGKILL", 10, 9, 0, 1.2)
    monday.add("disk", "EIO", 5, 5, 1, 2.0)
    monday.write(document)
    tuesday.add("disk", "EIO", 1_000, 990, 0, 3.4)
    tuesday.add("disk", "EIO", 1_000, 1_000, 0, 3.4)
    tuesday.add("S3", "reset", 7, 7, 0, 0.6)
    tuesday.write(document)
    head, _, rest = document.read_text().partition(BEGIN)
    table, _, tail = rest.partition(END)
    assert (head, tail) == ("before\n", "\nafter\n")
    assert table.strip().splitlines()[2:] == [
        "| disk | SIGKILL | 10 | 9 | 0 | 1 s |",
        "| disk | EIO | 2,000 | 1,990 | 0 | 7 s |",
        "| S3 | reset | 7 | 7 | 0 | 1 s |",
    ]
