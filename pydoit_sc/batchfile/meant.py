"""Which values of an axis an entry of `include` or `exclude` means, without comparing it with each: both may be thousands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Set
from datetime import datetime

from pydoit_sc.batchfile.values import SCALARS, Cell, FilePath, Row, Scalar, Value, text
from pydoit_sc.batchfile.windows import Window


class Meanings:
    """The values of an axis, found by what an entry says.

    A window is meant by its start, with its offset or without, a file by its path, a row by a table of some of its
    parts, a cell of a CSV file by its text or by what is written so.
    """

    def __init__(self, values: Iterable[Value]) -> None:
        self.values = list(values)
        self._at: defaultdict[Hashable, set[int]] = defaultdict(set)
        self._known = 0  # so many of the values have been looked at

    def add(self, value: Value) -> int:
        """Add a value, and return its position."""
        self.values.append(value)
        return len(self.values) - 1

    def find(self, wanted: object) -> Set[int]:
        """Return the positions of the values that are meant."""
        for position in range(self._known, len(self.values)):
            for sign in _signs(self.values[position]):
                self._at[sign].add(position)
        self._known = len(self.values)
        if not isinstance(wanted, dict):
            return self._with(None, wanted)
        first, *others = (self._with(name, cell) for name, cell in wanted.items())
        return first.intersection(*others)

    def _with(self, name: str | None, wanted: object) -> set[int]:
        """Return the positions of the values with this part; None: of those that have no parts."""
        if not isinstance(wanted, SCALARS):
            return set()
        return self._at.get(_plain(name, wanted), set()) | self._at.get((name, text(wanted)), set())


def _signs(value: Value) -> Iterator[Hashable]:
    """Yield what a value is found by."""
    if isinstance(value, Row):
        for name, cell in value.cells.items():
            yield (name, str(cell)) if isinstance(cell, Cell) else _plain(name, cell)
    elif isinstance(value, Window):
        yield _plain(None, value.start)
        if isinstance(value.start, datetime):
            yield _plain(None, value.start.replace(tzinfo=None))
    else:
        yield _plain(None, value.path if isinstance(value, FilePath) else value)


def _plain(name: str | None, value: Scalar) -> Hashable:
    return name, isinstance(value, bool), value  # true is 1 to Python
