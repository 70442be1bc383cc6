"""A few lines at the end of a terminal that are drawn again and again, below the lines that stay."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO
from unicodedata import category, east_asian_width

from pydoit_sc.errors import printable
from pydoit_sc.show.screen import Screen

_USUAL = (80, 24)  # columns and rows of a terminal that does not tell its size


class Footer:
    """The lines that are drawn now.

    Between two drawings the cursor stands at the first of them: a terminal that becomes narrower may break the lines
    anew, and only there it is known what is below. While they are drawn, no line is broken, however wide a terminal
    takes a character to be.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: Sequence[str] = ()

    def size(self) -> tuple[int, int]:
        """Return the columns and the rows of the terminal, as they are now."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return _USUAL
        return size.columns or _USUAL[0], size.lines or _USUAL[1]

    def draw(self, lines: Sequence[str]) -> None:
        """Draw these lines, which may have colours, in place of those before."""
        self._lines = lines[: max(1, self.size()[1] - 1)]
        self._write(self._drawn())
        Screen.clear = self.clear

    def line(self, text: str) -> None:
        """Write a text that stays above the lines: the terminal breaks it, so that it can be copied whole."""
        erase = "\r\x1b[J" if self._lines else ""
        self._write(f"{erase}{printable(text)}\n{self._drawn()}")

    def clear(self) -> None:
        """Remove the lines."""
        Screen.clear = None
        if self._lines:
            self._lines = ()
            self._write("\r\x1b[J")

    def _drawn(self) -> str:
        if not self._lines:
            return ""
        up = f"\x1b[{len(self._lines) - 1}A" if len(self._lines) > 1 else ""
        return "\r\x1b[?7l" + "\x1b[K\n".join(self._lines) + f"\x1b[J{up}\r\x1b[?7h"

    def _write(self, text: str) -> None:
        draw = self._stream.draw if isinstance(self._stream, Screen) else self._stream.write
        draw(text)
        self._stream.flush()


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes.

    >>> cells("month"), cells("日本"), cells("é"), cells("e\u0301")
    (5, 4, 1, 1)
    """
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    return 0 if category(char) in ("Mn", "Me") else 1 + (east_asian_width(char) in "WF")


def fit(text: str, width: int) -> str:
    """Return a text, cut where it takes more cells than `width`.

    >>> fit("month:2012-01", 8), fit("日本", 3), fit("month", 5)
    ('month:2…', '日…', 'month')
    """
    if cells(text) <= width:
        return text
    kept, used = "", 1
    for char in text:
        used += _cells(char)
        if used > width:
            break
        kept += char
    return f"{kept}…"[:width]
