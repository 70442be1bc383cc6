"""Tables of text, as the seed's pages show them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pydoit_sc.errors import printable

LONGEST = 500  # characters of a cell: one command may have 128 KB


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], right: Collection[str] = ()) -> str:
    """Return a table as the seed's pages show it: columns four spaces apart, one line of dashes. Long cells are cut.

    The columns of the headers in `right`, which are numbers to compare, are aligned right.

    >>> print(table(("name", "code"), [("a", 0), ("bcdef", None)]))
    name     code
    -------------
    a        0
    bcdef
    """
    import tabulate  # noqa: PLC0415 - only for a table

    tabulate.MIN_PADDING = 0  # its way of letting a column be as narrow as its header
    form = tabulate.TableFormat(
        lineabove=None,
        linebelowheader=tabulate.Line("", "-", "-" * 4, ""),
        linebetweenrows=None,
        linebelow=None,
        headerrow=tabulate.DataRow("", " " * 4, ""),
        datarow=tabulate.DataRow("", " " * 4, ""),
        padding=0,
        with_header_hide=None,
    )
    cells = [[one_line(cell) for cell in row] for row in rows]
    sides = ["right" if header in right else "left" for header in headers]
    return tabulate.tabulate(cells, headers, tablefmt=form, disable_numparse=True, colalign=sides)


def one_line(cell: object) -> str:
    """Return a cell on one line, whatever is in it."""
    text = "" if cell is None else str(cell)
    shown = printable(text[:LONGEST]).replace("\n", "\\n")
    return shown if len(shown) <= LONGEST and len(text) <= LONGEST else f"{shown[: LONGEST - 1]}…"
