"""Print what runs have written, to standard output and standard error, byte for byte."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import BinaryIO

from pydoit_sc.errors import printable
from pydoit_sc.store import Outputs
from pydoit_sc.store.layout import STDOUT

_LONGEST_LINE = 1 << 16  # bytes of a line with a name before it
_BLOCK = 1 << 20  # bytes that are read at once


class Printer:
    """Prints what a run has written: as it is, or with the run's name before each line."""

    def __init__(self, run: str, names: Sequence[str], *, prefixed: bool) -> None:
        self.run, self.names = run, names
        self._prefix = f"{printable(run)}: ".encode(errors="backslashreplace") if prefixed else b""
        self._begun = dict.fromkeys(names, b"")  # lines whose ends are to come

    def write(self, name: str, data: bytes) -> None:
        """Print what has been written to a file."""
        stream = _stream(name)
        if self._prefix:
            *lines, rest = (self._begun[name] + data).split(b"\n")
            if len(rest) > _LONGEST_LINE:  # progress that is written over itself has no other end
                lines, rest = [*lines, rest], b""
            self._begun[name] = rest
            data = b"".join([b"%s%s\n" % (self._prefix, line) for line in lines])
        stream.write(data)
        stream.flush()

    def end(self) -> None:
        """Print what is left of lines."""
        for name, rest in self._begun.items():
            if rest:
                self.write(name, b"\n")


def _stream(name: str) -> BinaryIO:
    return sys.stdout.buffer if name == STDOUT else sys.stderr.buffer


def print_output(store: Outputs, key: str, printer: Printer) -> bool:
    """Print an output, and return whether there is one."""
    found = False
    for name in printer.names:
        try:
            with store.open(key, name) as file:
                while block := file.read(_BLOCK):
                    printer.write(name, block)
        except FileNotFoundError:
            continue
        found = True
    printer.end()
    return found
