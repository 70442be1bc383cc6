"""CSV with a header row."""

from __future__ import annotations

import csv
import io

from pydoit_sc.batchfile.document import failure


def parse_csv(text: str, file: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has a header row; raise BatchfileError."""
    rows = csv_rows(text, file)
    if not rows:
        raise failure(file, "no header row")
    header_line, header = rows[0]
    header = [cell.strip() for cell in header]
    for column in header:
        if not column or header.count(column) > 1:
            what = f"the column `{column}` is there twice" if column else "a column has no name"
            raise failure(file, what, header_line)
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise failure(file, f"expected {len(header)} cells as in the header, found {len(row)}", line)
    return [dict(zip(header, row, strict=True)) for _, row in rows[1:]]


def csv_rows(text: str, file: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, with the lines they start on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, line = [], 1
    try:
        for row in reader:
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise failure(file, f"not CSV: {error}", line) from None
    return rows
