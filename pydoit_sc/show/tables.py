"""Tables of text, as the seed's pages show them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from pydoit_sc.errors import printable
from pydoit_sc.show.footer import cells as cells_of

_APART = 4  # characters between columns
_LEAST = 24  # characters: a column is not made narrower
MANY = 1000  # rows
LONGEST = 500  # characters of a cell: one command may have 128 KB


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], right: Collection[str] = ()) -> str:
    """Return a table as the seed's pages show it: columns four spaces apart, one line of dashes. Long cells and headers are cut.

    The columns of the headers in `right`, which are numbers to compare, are aligned right. On a terminal, what is long
    is cut so that rows fit, in the middle: commands begin alike, and so do paths.

    >>> print(table(("name", "code"), [("a", 0), ("bcdef", None)]))
    name     code
    -------------
    a        0
    bcdef
    """
    cells = list(map(_cells, rows))
    titles, sides = _cells(headers), [header in right for header in headers]
    if len(cells) > MANY:
        return "\n".join(_drawn(titles, lambda: cells, sides))
    if (room := _room(titles)) is not None:
        fitted = _fitted(_widths(len, titles, cells), room)
        titles = list(map(cut_middle, titles, fitted))
        cells = [list(map(cut_middle, row, fitted)) for row in cells]
    return _tabulated(titles, cells, sides)


def fitting(
    headers: Sequence[str], rows: Sequence[Sequence[object]], first: Collection[str]
) -> Sequence[int]:
    """Return the places of the columns that a terminal has room for, in their order; elsewhere all.

    The columns of the headers in `first` have room before the others.
    """
    places = range(len(headers))
    if not sys.stdout.isatty():
        return places
    room, kept = shutil.get_terminal_size().columns + _APART, list[int]()
    for place in sorted(places, key=lambda place: headers[place] not in first):
        width = max([len(headers[place]), *(len(one_line(row[place]).strip()) for row in rows)])
        room -= _APART + min(width, _LEAST)
        if room < 0 and kept:
            break
        kept.append(place)
    return sorted(kept)


def _tabulated(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    import tabulate  # noqa: PLC0415 - only for a table

    tabulate.MIN_PADDING = 0  # its way of letting a column be as narrow as its header
    form = tabulate.TableFormat(
        lineabove=None,
        linebelowheader=tabulate.Line("", "-", "-" * _APART, ""),
        linebetweenrows=None,
        linebelow=None,
        headerrow=tabulate.DataRow("", " " * _APART, ""),
        datarow=tabulate.DataRow("", " " * _APART, ""),
        padding=0,
        with_header_hide=None,
    )
    sides = ["right" if one else "left" for one in right]
    return tabulate.tabulate(rows, headers, tablefmt=form, disable_numparse=True, colalign=sides)


def lines(
    headers: Sequence[str], rows: Callable[[], Iterable[Sequence[object]]], right: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of the same table, of any length: the rows are asked for several times, and none is kept."""
    sides = [header in right for header in headers]
    return _drawn(_cells(headers), lambda: (_cells(row) for row in rows()), sides)


def _cells(row: Iterable[object]) -> Sequence[str]:
    return [one_line(cell).strip() for cell in row]


def _drawn(
    headers: Sequence[str], rows: Callable[[], Iterable[Sequence[str]]], right: Sequence[bool]
) -> Iterator[str]:
    """Yield a table's lines; tabulate takes ten times as long, which nobody waits for on a screen's few rows."""
    shown = rows
    if (room := _room(headers)) is not None:
        fitted = _fitted(_widths(len, headers, rows()), room)
        headers = list(map(cut_middle, headers, fitted))

        def shown() -> Iterable[Sequence[str]]:
            return (list(map(cut_middle, row, fitted)) for row in rows())

    widths = _widths(cells_of, headers, shown())
    yield _line(headers, widths, right)
    yield "-" * (sum(widths) + _APART * (len(widths) - 1))
    for row in shown():
        yield _line(row, widths, right)


def _room(headers: Sequence[str]) -> int | None:
    """Return how many characters a row may have on a terminal, without what is between columns; None elsewhere."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns - _APART * (len(headers) - 1)


def _widths(
    measure: Callable[[str], int], headers: Sequence[str], rows: Iterable[Sequence[str]]
) -> list[int]:
    widths = list(map(measure, headers))
    for row in rows:
        widths = list(map(max, widths, map(measure, row)))
    return widths


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, is_right in zip(row, widths, right, strict=True):
        pad = " " * (width - cells_of(cell))
        padded.append(pad + cell if is_right else cell + pad)
    return (" " * _APART).join(padded).rstrip()


def _fitted(widths: Sequence[int], room: int) -> Sequence[int]:
    """Return the widths of columns that have so much room together: the widest are made equal, names and ids left whole.

    >>> _fitted([9, 70, 50], 89), _fitted([9, 70, 50], 300), _fitted([9, 70, 50], 20)
    ([9, 40, 40], [9, 70, 50], [9, 24, 24])
    """
    most = next(
        (most for most in range(max(widths), _LEAST, -1) if sum(min(w, most) for w in widths) <= room), _LEAST
    )
    return [min(width, most) for width in widths]


def cut_middle(text: str, width: int) -> str:
    """Return a text without its middle, if it is longer than so much.

    >>> cut_middle("file:///home/me/out/month/2012-01", 20)
    'file:///ho…h/2012-01'
    """
    return text if len(text) <= width else f"{text[: width // 2]}…{text[len(text) - (width - 1) // 2 :]}"


def one_line(cell: object) -> str:
    """Return a cell on one line, whatever is in it."""
    text = "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)
    if len(text) <= LONGEST and text.isprintable():  # as a rule
        return text
    shown = printable(text[:LONGEST]).replace("\n", "\\n")
    return shown if len(shown) <= LONGEST and len(text) <= LONGEST else f"{shown[: LONGEST - 1]}…"
