"""CSV with a header row: cells without blanks around them, and without what editors and data frames add."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from pydoit_sc.batchfile.document import failure


def parse_csv(text: str, file: str, delimiter: str | None = None) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has a header row; raise BatchfileError.

    A column without a name is left out where it is the first, which data frames write as their index, or where it is empty.
    """
    rows = csv_rows(text, file, delimiter)
    if not rows:
        raise failure(file, "no header row")
    header_line, header = rows[0]
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise failure(file, f"expected {len(header)} cells as in the header, found {len(row)}", line)
    named = [i for i, column in enumerate(header) if column]
    for i, column in enumerate(header):
        if column and header.count(column) > 1:
            raise failure(file, f"the column `{column}` is there twice", header_line)
        if not column and i and any(row[i] for _, row in rows):
            raise failure(file, f"column {i + 1} has no name", header_line)
    return [{header[i]: row[i] for i in named} for _, row in rows[1:]]


def csv_rows(text: str, file: str, delimiter: str | None = None) -> list[tuple[int, list[str]]]:
    """Return the rows that are neither blank nor comments, with the lines they start on.

    A line that begins with `#` is a comment; a first cell that does so is put into quotes. Without a delimiter it is a
    tab in a file `*.tsv`, a comma in a file `*.csv`, and elsewhere what the header has.
    """
    lines = _Lines(text)
    delimiter = delimiter or _delimiter(text, file)
    rows = []
    try:
        for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True):
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((lines.start, cells))
            lines.start = 0
    except csv.Error as error:
        raise failure(file, f"not CSV: {error}", lines.start or lines.number) from None
    return rows


def first_line(text: str) -> str:
    """Return the first line that is neither blank nor a comment."""
    lines = (line for line in io.StringIO(text) if line.strip() and not line.lstrip().startswith("#"))
    return next(lines, "")


def _delimiter(text: str, file: str) -> str:
    if file.lower().endswith((".tsv", ".csv")):
        return "\t" if file.lower().endswith(".tsv") else ","
    header = first_line(text)
    return "\t" if "\t" in header and "," not in header else ","


class _Lines:
    """The lines of a text without the comments between its rows; a quoted cell may have several lines."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.number = 0
        self.start = 0  # the line on which the present row starts, from 1; 0 between two rows

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            if self.start or not line.lstrip().startswith("#"):
                self.start = self.start or self.number
                yield line
