"""Bars: how the progress of a batch is shown, moving on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Protocol, TextIO

from pydoit_sc.errors import printable
from pydoit_sc.show.footer import Footer, cells, fit
from pydoit_sc.show.progress import Progress
from pydoit_sc.times import clock

EVERY = 10.0  # seconds between two lines of figures at first, where there is no terminal
_PART = 20  # later a twentieth of the time so far
_LONGEST = 300.0  # seconds at most, as some CI ends silent jobs
_FRAMES = 0.1  # seconds between two drawings at least
_WIDEST = 40  # cells of the bar
_LONG = 1.0  # seconds: shorter runs are not named, they would be gone before they are read
_GREEN, _RED, _DIM, _USUAL = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


class Bar(Protocol):
    """Shows the progress of a batch while it executes."""

    def update(self, progress: Progress) -> None:
        """Show the figures as they are now, if it is time to."""

    def line(self, text: str) -> None:
        """Write a line that stays."""

    def close(self, progress: Progress) -> None:
        """Show the last figures."""


class NoBar:
    """Shows only the lines that stay: failures."""

    def __init__(self, outstream: TextIO) -> None:
        self._outstream = outstream

    def update(self, progress: Progress) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Write the line."""
        self._outstream.write(f"{text}\n")
        self._outstream.flush()

    def close(self, progress: Progress) -> None:
        """Show nothing."""


class PlainBar(NoBar):
    """A line of figures from time to time, for logs."""

    def __init__(self, outstream: TextIO) -> None:
        super().__init__(outstream)
        self._next = time.monotonic() + EVERY

    def update(self, progress: Progress) -> None:
        """Write a line, ever more seldom."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + min(max(EVERY, progress.elapsed / _PART), _LONGEST)
            running = progress.running()
            longest = "".join(
                f"; longest {name} {clock(age)}" for name, age in running.longest[:1] if age >= _LONG
            )
            self.line(f"{progress.figures(running.count)}, {progress.times(running.count)}{longest}")

    def close(self, progress: Progress) -> None:
        """Write the last figures, if anything was to be executed."""
        if progress.to_execute:
            self.line(progress.outcome())


class MovingBar:
    """A bar that moves, with the lines that stay above it."""

    def __init__(self, outstream: TextIO) -> None:
        self._footer = Footer(outstream)
        self._graphic = encodes(outstream, "━─")
        self._next = 0.0

    def update(self, progress: Progress) -> None:
        """Draw the bar again, ten times a second at most."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _FRAMES
            self._footer.draw(list(bar_lines(progress, self._footer.size()[0] - 1, graphic=self._graphic)))

    def line(self, text: str) -> None:
        """Write the line above the bar."""
        self._footer.line(text)

    def close(self, progress: Progress) -> None:
        """Remove the bar and write the last figures, if anything was to be executed."""
        self._footer.clear()
        if progress.to_execute:
            self._footer.line(progress.outcome())


def bar_lines(progress: Progress, columns: int, *, graphic: bool) -> Iterator[str]:
    """Yield the lines of a bar: its picture with the times, the figures, the runs that have executed longest."""
    running = progress.running()
    share = f"{100 * progress.finished // max(1, progress.to_execute)} %"
    times = f"{share}  {progress.times(running.count)}"
    width = min(_WIDEST, columns - cells(times) - 2)
    yield f"{_picture(progress, width, graphic=graphic)}  {times}" if width > 2 else fit(times, columns)
    figures = progress.figures(running.count).replace(" ", "\xa0").replace(",\xa0", ", ")
    for line in textwrap.wrap(figures, max(1, columns)):
        yield line.replace("\xa0", " ")  # broken between the figures alone
    if names := name_longest([item for item in running.longest if item[1] >= _LONG], columns):
        yield names


def _picture(progress: Progress, width: int, *, graphic: bool) -> str:
    total = max(1, progress.to_execute)
    ended = min(width, width * progress.finished // total)
    failed = min(ended, -(-width * progress.failed // total))
    coloured = not os.environ.get("NO_COLOR")  # https://no-color.org
    full, bad, empty = ("━", "━" if coloured else "x", "─") if graphic else ("#", "x", "-")
    parts = (_GREEN, full * (ended - failed)), (_RED, bad * failed), (_DIM, empty * (width - ended))
    return "".join([f"{colour}{part}{_USUAL}" if coloured else part for colour, part in parts])


def name_longest(longest: Sequence[tuple[str, float]], columns: int) -> str:
    """Return the names of runs with their ages, as many as there is room for; the first one is cut if it must be.

    >>> name_longest([("month:2012-01", 62), ("month:2012-02", 3)], 40)
    'month:2012-01 1:02, month:2012-02 0:03'
    >>> name_longest([("month:2012-01", 62), ("month:2012-02", 3)], 16)
    'month:2012… 1:02'
    """
    text = ""
    for name, seconds in longest:
        age = clock(seconds)
        more = (
            f", {printable(name)} {age}" if text else f"{fit(printable(name), columns - len(age) - 1)} {age}"
        )
        if cells(text) + cells(more) > columns:
            break
        text += more
    return text.replace("\n", "\\n")


def encodes(stream: TextIO, text: str) -> bool:
    """Return whether the encoding of a stream has these characters."""
    try:
        text.encode(stream.encoding or "ascii")
    except (LookupError, UnicodeError):
        return False
    return True


def is_moving(stream: TextIO) -> bool:
    """Return whether lines may be drawn again there: on a terminal that is able to, and where nobody wants plain text."""
    plain = os.environ.get("CI") or os.environ.get("TERM", "dumb") in ("", "dumb", "unknown")
    return stream.isatty() and not plain


def make_bar(outstream: TextIO, *, quiet: bool) -> Bar:
    """Return the bar for an output: moving on a terminal, lines elsewhere, failures alone if quiet."""
    if quiet:
        return NoBar(outstream)
    return MovingBar(outstream) if is_moving(outstream) else PlainBar(outstream)
