"""Tables of text, as the seed's pages show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydoit_sc.errors import printable

LONGEST = 500  # characters of a cell: one command may have 128 KB
_GAP = " " * 4


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table: columns four spaces apart, one line of dashes below the headers.

    Long cells are cut; the rows are gone through twice, and only one line is made at a time.

    >>> print(*table(("name", "code"), [("a", 0), ("bcdef", None)]), sep="\\n")
    name     code
    -------------
    a        0
    bcdef
    """
    widths = [len(header) for header in headers]
    for row in rows:
        widths = [max(width, len(_shown(cell))) for width, cell in zip(widths, row, strict=True)]
    yield _line(headers, widths)
    yield "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    for row in rows:
        yield _line([_shown(cell) for cell in row], widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(map(str.ljust, cells, widths)).rstrip()


def _shown(cell: object) -> str:
    """Return a cell on one line, whatever is in it."""
    text = "" if cell is None else str(cell)
    shown = printable(text[:LONGEST]).replace("\n", "\\n")
    return shown if len(shown) <= LONGEST and len(text) <= LONGEST else f"{shown[: LONGEST - 1]}…"
