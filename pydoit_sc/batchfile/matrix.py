"""The combinations of a matrix: the product of its axes, with `exclude` and `include` as in GitHub Actions.

Combinations are kept by column: for each key its values, and for each combination the position of its value
among them. So a hundred thousand of them cost a few lists of integers, and each value is formatted once.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydoit_sc.batch import Axes
from pydoit_sc.batchfile.axes import MatrixTable, read_axis
from pydoit_sc.batchfile.document import Source
from pydoit_sc.batchfile.errors import BatchfileError, InvalidError, Where, show
from pydoit_sc.batchfile.meant import Meanings
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.rows import below, row_like
from pydoit_sc.batchfile.values import MOST, Row, Scalar, Value, label, parts, plain
from pydoit_sc.made import Part, Texts

#: The placeholder of earlier runs' outputs, `{after.STAGE}`, which no axis may hide.
AFTER = "after"
NONE = -1  # the position of a value that a combination does not have

_SHOWN = 200  # characters of a value in a message
_NAMED = 5  # values of an axis that a message has
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(slots=True, eq=False, repr=False)
class Combinations:
    """The runs that a matrix makes, by column."""

    axes: tuple[str, ...]
    values: dict[str, list[Value]]  # of the axes, and of what `include` adds
    columns: Mapping[str, Sequence[int]]  # for each combination, which of the values, or NONE
    count: int
    created: int  # so many of them, the last ones, were made by `include`
    #: What placeholders have been written as, for each value of their axis: several texts may hold the same one.
    written: dict[Hashable, list[str]] = field(default_factory=dict)

    def axes_of(self, row: int) -> Axes:
        """Return the values of a combination as JSON has them, by what placeholders name of them.

        A window is told by its start.
        """
        return {name: plain(cell) for name, cell in self._cells(row).items()}

    def describe(self, row: int) -> str:
        """Name a combination in a message, by its values as they are written."""
        return _listed(self._parts(row))

    def contrast(self, row: int, other: int) -> str:
        """Say in a message what tells two combinations apart; "" where nothing does."""
        one, two = self._parts(row), self._parts(other)
        keys = [key for key in {**one, **two} if one.get(key) != two.get(key)]
        first, second = ({key: own[key] for key in keys if key in own} or own for own in (one, two))
        return f"those of {_listed(first)}, and of {_listed(second)}" if keys else ""

    def differ_by_offset(self, row: int, other: int) -> bool:
        """Return whether two combinations that differ do so in offsets alone: of a time that the clocks show twice."""
        one, two = ({key: _on_clock(cell) for key, cell in self._cells(n).items()} for n in (row, other))
        return one == two and bool(self.contrast(row, other))

    def _parts(self, row: int) -> dict[str, str]:
        """Return the values of a combination as they are written, by placeholder."""
        return {name: show(cell, _SHOWN) for name, cell in self._cells(row).items()}

    def _cells(self, row: int) -> dict[str, Scalar]:
        """Return the values of a combination by placeholder; a window is told by its start."""
        return {
            f"{key}.{name}" if name else key: cell
            for key, column in self.columns.items()
            if (i := column[row]) != NONE
            for name, cell in parts(self.values[key][i]).items()
        }

    def are_told_apart(self, texts: Texts) -> bool:
        """Return whether no two combinations have the same text, where that shows in what they are made of.

        Read from the left, a value ends where the literal text behind it begins, if no value of its axis has the
        character that this begins with. So equal texts are of equal values, of each axis that has several.
        """
        several = {key for key in self.axes if len(self.values[key]) > 1}
        before: Sequence[str] = ()  # what may stand right before
        for part in texts.parts:
            if isinstance(part, str):
                if any(part[:1] in text for text in before):
                    return False
                before = ()
            elif before or len(set(part[1])) < len(part[1]):
                return False
            else:
                before = part[1]
                several -= {key for key in self.axes if self.columns[key] is part[0]}
        return not (several or self.created)

    def names(self) -> Sequence[str]:
        """Return default names: the values of the axes joined by `_`, and all values where `include` made one."""
        labels = {key: [label(value) for value in values] for key, values in self.values.items()}
        original = self.count - self.created
        parts: list[Part] = []
        for key in self.axes:
            parts += ["_", (self.columns[key][:original], labels[key])]
        made = Texts(parts[1:], original)
        if not self.created:
            return made
        names = list(made) if self.axes else []
        for row in range(original, self.count):
            chosen = ((key, column[row]) for key, column in self.columns.items())
            names.append("_".join(labels[key][i] for key, i in chosen if i != NONE))
        return names


def _on_clock(cell: Scalar) -> Scalar:
    return cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell


def _listed(parts: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={part}" for name, part in parts.items())


def expand(table: MatrixTable, source: Source, notes: Notes, where: Where) -> Combinations | None:
    """Return the combinations of a matrix, or None after noting what is wrong with it."""
    problems = notes.report.count
    axes = _axes(table, source, notes, where)
    meanings = {key: Meanings(values) for key, values in axes.items()}
    for i, entry in enumerate(table.exclude):
        for key in entry.keys() - axes.keys():
            notes.unknown((*where, "exclude", i, key), "unknown axis", key, axes)
        for key in entry.keys() & axes.keys():
            if said := _refusal(entry[key], table.axes[key], meanings[key]):
                notes.add((*where, "exclude", i, key), said)
    for entries in ("exclude", "include"):
        for i, entry in enumerate(getattr(table, entries)):
            _check_cells(entry, axes, notes, (*where, entries, i))
    if notes.report.count > problems:
        return None
    total = math.prod(map(len, axes.values())) if axes else 0
    if total + len(table.include) > MOST:
        message = f"a matrix has at most {MOST:,} combinations, this one {total + len(table.include):,}"
        notes.add(where, message)
        return None
    matrix = _Matrix(meanings)
    matrix.exclude(table.exclude)
    for i, entry in enumerate(table.include):
        try:
            matrix.include(entry)
        except InvalidError as error:
            notes.invalid((*where, "include", i), error)
            return None
    combinations = matrix.combinations()
    if not combinations.count:
        notes.add(where, "`exclude` leaves no combination" if axes else "the matrix has no axes")
        return None
    return combinations


def _refusal(wanted: Any, axis: Any, meanings: Meanings) -> str:
    """Return why `exclude` would leave out nothing by a value, "" where it may leave out something.

    A list has the value or not. What other axes have may change from day to day: they refuse what is of another kind.
    """
    if not isinstance(axis, tuple):
        return axis.refusal(wanted)  # type: ignore[no-any-return]
    if meanings.find(wanted):
        return ""
    values = meanings.values
    if isinstance(first := values[0], Row):
        if isinstance(wanted, dict):
            return "" if wanted.keys() - first.cells.keys() else "no table of the axis has these values"
        return f"expected a table of some keys of the axis, found {show(wanted)}"
    known = ", ".join(show(value) for value in values[:_NAMED]) + (", …" if len(values) > _NAMED else "")
    return f"expected a value of the axis, {known}, found {show(wanted)}"


def _check_cells(
    entry: Mapping[str, Any], axes: Mapping[str, Sequence[Value]], notes: Notes, where: Where
) -> None:
    """Note the keys that an entry names of rows which have none of that name."""
    for key, value in entry.items():
        if isinstance(value, dict) and key in axes and isinstance(first := axes[key][0], Row):
            for cell in value.keys() - first.cells.keys():
                notes.unknown((*where, key, cell), "unknown key", cell, first.cells)


def _axes(table: MatrixTable, source: Source, notes: Notes, where: Where) -> dict[str, Sequence[Value]]:
    axes: dict[str, Sequence[Value]] = {}
    for key, axis in table.axes.items():
        if not _KEY.fullmatch(key):
            notes.add((*where, key), "the name of an axis has letters, digits, `_` and `-`")
            continue
        if key == AFTER:
            notes.add(
                (*where, key), "`{after.STAGE}` is the output of an earlier run; give the axis another name"
            )
            continue
        try:
            axes[key] = read_axis(axis, source)
        except InvalidError as error:
            notes.invalid((*where, key), error)
        except BatchfileError as error:
            notes.file((*where, key, "csv"), error)
    return axes


def _made(key: str, value: Any, values: Sequence[Value]) -> Value:
    """Return the value that an entry adds to those of a key."""
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]
    try:
        return row_like(values[0], value) if values and isinstance(values[0], Row) else Row(value)
    except InvalidError as error:
        raise below(key, error) from None


class _Matrix:
    """Combinations while `exclude` and `include` change them."""

    def __init__(self, axes: Mapping[str, Meanings]) -> None:
        self.axes = axes
        self.values = {key: axis.values for key, axis in axes.items()}  # and those that `include` adds
        self.columns: dict[str, array[int]] = {}
        self.count = math.prod(map(len, self.values.values())) if axes else 0
        inner = self.count
        for key, values in self.values.items():
            inner //= len(values)
            block = array("i", [i for i in range(len(values)) for _ in range(inner)])
            self.columns[key] = block * (self.count // len(block))
        self.original = self.count
        #: The original combinations by axis, and by the position of their value there.
        self._rows: dict[str, dict[int, array[int]]] = {}
        self._added: dict[tuple[str, type, Hashable], int] = {}  # positions of what `include` adds

    def _matching(self, entry: Mapping[str, Any]) -> list[int]:
        """Return the original combinations that have the values of `entry` on every axis it names."""
        wanted = {key: self.axes[key].find(value) for key, value in entry.items() if key in self.axes}
        if not wanted:
            return list(range(self.original))
        narrowest = max(wanted, key=lambda key: len(self.values[key]))
        having = self._having(narrowest)
        rows = sorted(row for i in wanted[narrowest] for row in having.get(i, ()))
        others = [(self.columns[key], found) for key, found in wanted.items() if key != narrowest]
        return [row for row in rows if all(column[row] in found for column, found in others)]

    def _having(self, key: str) -> Mapping[int, Sequence[int]]:
        """Return the original combinations by the position of their value on an axis."""
        if key not in self._rows:
            rows: defaultdict[int, array[int]] = defaultdict(lambda: array("i"))
            for row, i in enumerate(self.columns[key][: self.original]):
                rows[i].append(row)
            self._rows[key] = rows
        return self._rows[key]

    def exclude(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Drop the combinations that one of the entries matches."""
        dropped = {row for entry in entries for row in self._matching(entry)}
        if dropped:
            for key, column in self.columns.items():
                self.columns[key] = array("i", (i for row, i in enumerate(column) if row not in dropped))
            self.count -= len(dropped)
            self.original = self.count
            self._rows.clear()

    def include(self, entry: Mapping[str, Any]) -> None:
        """Add the entry's keys to the original combinations it matches, or make a combination of it.

        https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax: an entry is added to
        each combination whose original values it does not overwrite; what another entry added may be.
        """
        rows = self._matching(entry)
        if not rows:
            rows = [self.count]
            self.count += 1
            for column in self.columns.values():
                column.append(NONE)
            added = entry
        else:
            added = {key: value for key, value in entry.items() if key not in self.axes}
        for key, value in added.items():
            if key not in self.columns:
                self.columns[key] = array("i", [NONE]) * self.count
            column, position = self.columns[key], self._position(key, value)
            for row in rows:
                column[row] = position

    def _position(self, key: str, value: Any) -> int:
        """Return which value of `key` an entry means; a window of the axis is meant by its start."""
        values = self.values.setdefault(key, [])
        if key in self.axes:
            found = self.axes[key].find(value)
            return min(found) if found else self.axes[key].add(_made(key, value, values))
        new = len(values)
        position = new if isinstance(value, dict) else self._added.setdefault((key, type(value), value), new)
        if position == new:
            values.append(_made(key, value, values))
        return position

    def combinations(self) -> Combinations:
        """Return what has become of the product."""
        return Combinations(
            tuple(self.axes), self.values, self.columns, self.count, self.count - self.original
        )
