"""CSV with a header row: cells without blanks around them, and without what editors and data frames add."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from pydoit_sc.batchfile.document import failure
from pydoit_sc.batchfile.errors import SHOWN, BatchfileError, Problem


def parse_csv(
    text: str, file: str, delimiter: str | None = None, *, comment: str = "#"
) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has a header row; raise BatchfileError."""
    return list(csv_table(io.StringIO(text, newline=""), file, delimiter, comment=comment))


def csv_table(
    lines: Iterable[str], file: str, delimiter: str | None = None, *, comment: str = "#"
) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file that has a header row; raise BatchfileError at the end, with all that is wrong.

    A column without a name is left out where it is the first, which data frames write as their index, or where it is empty.
    """
    rows = csv_rows(lines, file, delimiter, comment=comment)
    header_line, header = next(rows, (None, []))
    if header_line is None:
        raise failure(file, "no header row")
    if len(header) == 1 and "cmd" in (names := header[0].split(";")) and len(names) > 1:  # a run list
        raise failure(file, "expected commas between the columns, found `;`", header_line)
    named = [i for i, column in enumerate(header) if column]
    nameless = [i for i, column in enumerate(header) if not column and i]
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    problems = [Problem(file, header_line, None, f"the column `{name}` is there twice") for name in twice]
    for line, row in rows:
        if len(problems) >= SHOWN:
            break
        if len(row) != len(header):
            message = f"expected {len(header)} cells as in the header, found {len(row)}"
            problems.append(Problem(file, line, None, message))
            continue
        for i in [i for i in nameless if row[i]]:
            nameless.remove(i)
            problems.append(Problem(file, header_line, None, f"column {i + 1} has no name"))
        if not problems:
            yield {header[i]: row[i] for i in named}
    if problems:
        raise BatchfileError(problems[:SHOWN])


def csv_rows(
    lines: Iterable[str], file: str, delimiter: str | None = None, *, comment: str = "#"
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are neither blank nor comments, with the lines they start on.

    A line that begins with `comment` is one, and with "" none is; a first cell that begins so is put into quotes. Without
    a delimiter it is a tab in a file `*.tsv`, a comma in a file `*.csv`, and elsewhere what the header has.
    """
    numbered = _Lines(lines, comment)
    rest = iter(numbered)
    header = next(rest, "")
    delimiter = delimiter or _delimiter(header, file)
    reader = csv.reader(chain([header], rest), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield numbered.start, cells
            numbered.start = 0
    except csv.Error as error:
        raise failure(file, f"not CSV: {error}", numbered.start or numbered.number) from None


def first_line(lines: Iterable[str]) -> str:
    """Return the first line that is neither blank nor a comment."""
    return next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")


def _delimiter(header: str, file: str) -> str:
    if file.lower().endswith((".tsv", ".csv")):
        return "\t" if file.lower().endswith(".tsv") else ","
    return "\t" if "\t" in header and "," not in header else ","


class _Lines:
    """Lines without blank ones and comments between rows; a quoted cell may have several lines."""

    def __init__(self, lines: Iterable[str], comment: str) -> None:
        self._lines = lines
        self._left_out = ("", comment)  # how lines between two rows begin
        self.number = 0
        self.start = 0  # the line on which the present row starts, from 1; 0 between two rows

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            if self.start or line.lstrip()[:1] not in self._left_out:
                self.start = self.start or self.number
                yield line
