"""What the suite has tried and found, and the table of it in docs/reliability.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table: written by tests/faults -->", "<!-- end of the table -->"
_HEAD = (
    "| where | fault | points tried | points hit | violations | time |",
    "| --- | --- | ---: | ---: | ---: | ---: |",
)


@dataclass(slots=True)
class Row:
    """One line of the table."""

    group: str
    fault: str
    tried: int
    hit: int
    violations: int
    seconds: float

    def __str__(self) -> str:
        figures = f"{self.tried:,} | {self.hit:,} | {self.violations:,} | {self.seconds:,.0f} s"
        return f"| {self.group} | {self.fault} | {figures} |"


class Tally:
    """Counts what every part of the suite reports; rows of one name are added up."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def add(  # noqa: PLR0917 - the order of the columns
        self, group: str, fault: str, tried: int, hit: int, violations: int, seconds: float
    ) -> None:
        """Count faults that were tried: where (`POSIX, nprocs 4`), which (`SIGKILL`), and what came of them."""
        row = self.rows.setdefault((group, fault), Row(group, fault, 0, 0, 0, 0.0))
        row.tried += tried
        row.hit += hit
        row.violations += violations
        row.seconds += seconds

    def table(self) -> str:
        """Return the table as Markdown."""
        return "\n".join([*_HEAD, *map(str, self.rows.values())])

    def write(self, document: Path = DOCUMENT) -> None:
        """Put the table into the document; rows there that were not tried this time stay."""
        text = document.read_text()
        head, _, rest = text.partition(BEGIN)
        old, _, tail = rest.partition(END)
        lines = {_name(line): line for line in old.splitlines() if line.startswith("| ")}
        for line in _HEAD:
            lines.pop(_name(line), None)
        lines.update((_name(str(row)), str(row)) for row in self.rows.values())
        table = "\n".join([*_HEAD, *lines.values()])
        document.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")


def _name(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.split("|")[1:3])
