"""A pseudo-terminal on which a program of ours, or a part of it, is shown as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import pyte

from pydoit_sc.show.screen import Screen
from tests.conftest import Box
from tests.starts import PROGRAMS, start

_SECONDS = 60  # for anything to come about
_KEPT = 1000  # lines that have left the screen
_PLAIN = ("CI", "COLUMNS", "LINES", "NO_COLOR")


class Window:
    """A terminal of so many columns: `file` is for the program, the rest is what a person sees."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._ours, self.file = pty.openpty()
        self.screen = pyte.HistoryScreen(columns, rows, history=_KEPT)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._size(columns, rows)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int = 24) -> None:
        """Have the window made larger or smaller."""
        self.screen.resize(rows, columns)
        self._size(columns, rows)

    def lines(self) -> list[str]:
        """Return what is on the screen, without what is empty at its end."""
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def all_lines(self) -> list[str]:
        """Return all lines that are on the screen or have been, each as the terminal broke it."""
        columns = range(self.screen.columns)
        gone = ["".join(line[column].data for column in columns) for line in self.screen.history.top]
        return [*(line.rstrip() for line in gone), *self.lines()]

    def read(self, seconds: float = _SECONDS) -> bool:
        """Show what has been written; return whether anything was, within these seconds."""
        ready, _, _ = select.select([self._ours], [], [], seconds)
        block = b""
        with suppress(OSError):  # how a terminal ends
            block = os.read(self._ours, 1 << 16) if ready else b""
        self._stream.feed(block)
        self.raw += block
        return bool(block)

    def shown(self) -> list[str]:
        """Return what a screen shows on it now, when all that was written has been read."""
        while self.read(0):
            pass
        return self.lines()

    def stream(self) -> Screen:
        """Return a screen that writes on it."""
        return Screen(self.file, "utf-8")

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *error: object) -> None:
        for descriptor in {self._ours, self.file} - {-1}:
            os.close(descriptor)


class Terminal(Window):
    """A program of ours on a terminal."""

    def __init__(
        self, box: Box, *words: str, columns: int = 80, env: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(columns)
        usual = {name: value for name, value in box.env.items() if name not in _PLAIN}
        self.program = start(
            [PROGRAMS / "pydoit-sc", *words],
            cwd=box.folder,
            env={**usual, "TERM": "xterm-256color", **(env or {})},
            terminal=self.file,
        )
        os.close(self.file)
        self.file = -1

    def until(self, condition: Callable[[list[str]], bool]) -> list[str]:
        """Read until the screen is so, and return it."""
        end = time.monotonic() + _SECONDS
        while not condition(self.lines()):
            assert time.monotonic() < end, self.lines()
            assert self.read(), self.lines()
        return self.lines()

    def end(self) -> int:
        """Read all that the program shows, and return its exit code."""
        while self.read():
            pass
        return self.program.wait(timeout=_SECONDS)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        if any(error):
            self.program.kill()
        self.program.wait(timeout=_SECONDS)
        super().__exit__()
