"""Standard output and standard error as texts that always can be written: printing never ends work, nor obeys what it shows."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TextIO

from pydoit_sc.errors import printable
from pydoit_sc.utf8 import encoding_of


class Lasting(io.FileIO):
    """A file whose writes never fail: what a reader who is gone, or a full disk, does not take goes to /dev/null."""

    failure = ""  # why what was written is lost; "" also where the reader has gone, who wanted no more
    ends_program = False  # a reader who has gone ends the program, too

    def write(self, data: Any, /) -> int:
        """Write, and wait where the reader is slow and the descriptor does not."""
        try:
            while (count := super().write(data)) is None:
                select.select([], [self], [])
            return count
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failure = error.strerror or str(error)
            elif self.ends_program:
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                signal.raise_signal(signal.SIGPIPE)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if self.failure and self.fileno() != 2:
                print(f"the output cannot be written: {self.failure}", file=sys.stderr)
            return len(data)


class Screen(io.TextIOWrapper):
    """Text that people read: control characters, and what its encoding does not have, are shown as escapes."""

    clear: ClassVar[Callable[[], None] | None] = None  # removes what is drawn on the terminal, if anything is

    def __init__(self, fd: int, encoding: str) -> None:
        self.lasting = Lasting(fd, "w", closefd=False)
        terminal = self.lasting.isatty()
        super().__init__(
            io.BufferedWriter(self.lasting), encoding, "backslashreplace", line_buffering=terminal or fd == 2
        )

    def write(self, text: str, /) -> int:
        """Write a text; a terminal would obey its control characters other than tabs."""
        if Screen.clear:
            Screen.clear()
        return self.draw("\t".join(map(printable, text.split("\t"))))

    def draw(self, text: str) -> int:
        """Write a text with its control characters: what we draw ourselves."""
        return super().write(text)


def screen(stream: TextIO) -> TextIO:
    """Return a screen on a stream's file, or the stream itself where it is a screen or has no file."""
    if isinstance(stream, Screen):
        return stream
    with suppress(OSError, ValueError, AttributeError):  # a stream of a test, or another program's own
        stream.flush()
        return Screen(stream.fileno(), encoding_of(stream.encoding))
    return stream


def escape_in_place(stream: TextIO) -> None:
    """Have a stream that another program has opened show what its encoding does not have as escapes."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


@contextmanager
def data_output() -> Iterator[TextIO]:
    """Give standard output as a text stream for programs: whole, control characters too, in UTF-8."""
    sys.stdout.flush()
    stream = io.TextIOWrapper(sys.stdout.buffer, "utf-8", "backslashreplace", newline="")
    try:
        yield stream
    finally:
        stream.detach()


def open_screens() -> None:
    """Make standard output and standard error screens; those that are closed lead to /dev/null.

    None of our files becomes one of the descriptors 0 to 2.
    """
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(lowest)
    sys.stdout = screen(sys.stdout) if sys.stdout else Screen(1, "utf-8")
    sys.stderr = screen(sys.stderr) if sys.stderr else Screen(2, "utf-8")


def end_with_the_reader() -> None:
    """Have the program end quietly, by SIGPIPE, when the reader of standard output has gone: `pydoit-sc list | head`.

    The signal stays ignored otherwise: a server that closes a connection must not end the program.
    """
    if isinstance(sys.stdout, Screen):
        sys.stdout.lasting.ends_program = True


def lost_output() -> bool:
    """Write what is left, and return whether some of standard output could not be written."""
    sys.stdout.flush()
    return isinstance(sys.stdout, Screen) and bool(sys.stdout.lasting.failure)
