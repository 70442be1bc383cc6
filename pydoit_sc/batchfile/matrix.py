"""The combinations of a matrix: the product of its axes, with `exclude` and `include` as in GitHub Actions.

Combinations are kept by column: for each key its values, and for each combination the position of its value
among them. So a hundred thousand of them cost a few lists of integers, and each value is formatted once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydoit_sc.batchfile.axes import MOST, Source, read_axis
from pydoit_sc.batchfile.errors import BatchfileError
from pydoit_sc.batchfile.places import Where
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.schema import InvalidError, show
from pydoit_sc.batchfile.values import SCALARS, Row, Value, label, same, text

NONE = -1  # the position of a value that a combination does not have

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Combinations:
    """The runs that a matrix makes, by column."""

    axes: tuple[str, ...]
    values: dict[str, list[Value]]  # of the axes, and of what `include` adds
    columns: dict[str, list[int]]  # for each combination, which of the values, or NONE
    count: int
    created: int  # so many of them, the last ones, were made by `include`

    def describe(self, row: int) -> str:
        """Name a combination in a message."""
        chosen = {key: column[row] for key, column in self.columns.items()}
        words = [f"{key}={label(self.values[key][i])}" for key, i in chosen.items() if i != NONE]
        return ", ".join(words)

    def names(self) -> list[str]:
        """Return default names: the values of the axes joined by `_`, and all values where `include` made one."""
        labels = {key: [label(value) for value in values] for key, values in self.values.items()}
        original = self.count - self.created
        axes = [[labels[key][i] for i in self.columns[key][:original]] for key in self.axes]
        names = list(map("_".join, zip(*axes, strict=True)))
        for row in range(original, self.count):
            chosen = ((key, column[row]) for key, column in self.columns.items())
            names.append("_".join(labels[key][i] for key, i in chosen if i != NONE))
        return names


def expand(table: Mapping[str, Any], source: Source, notes: Notes, where: Where) -> Combinations | None:
    """Return the combinations of a matrix, or None after noting what is wrong with it."""
    problems = notes.report.count
    axes = _axes(table, source, notes, where)
    excluded = _entries(table, "exclude", notes, where)
    included = _entries(table, "include", notes, where)
    for i, entry in enumerate(excluded):
        for key in entry.keys() - axes.keys():
            notes.unknown((*where, "exclude", i, key), "unknown axis", key, axes)
    if notes.report.count > problems:
        return None
    sizes = [len(values) for values in axes.values()]
    total = math.prod(sizes) if sizes else 0
    if total + len(included) > MOST:
        notes.add(where, f"a matrix has at most {MOST:,} combinations, this one {total + len(included):,}")
        return None
    matrix = _Matrix(axes)
    matrix.exclude(excluded)
    for entry in included:
        matrix.include(entry)
    combinations = matrix.combinations()
    if not combinations.count:
        empty = "`exclude` leaves no combination" if axes else "the matrix has no axes"
        notes.add(where, empty)
        return None
    return combinations


def _axes(table: Mapping[str, Any], source: Source, notes: Notes, where: Where) -> dict[str, list[Value]]:
    axes: dict[str, list[Value]] = {}
    for key, spec in table.items():
        if key in ("include", "exclude"):
            continue
        if not _KEY.fullmatch(key):
            notes.add((*where, key), "the name of an axis has letters, digits, `_` and `-`")
            continue
        try:
            axes[key] = read_axis(spec, source)
        except InvalidError as error:
            for below, message in error.faults:
                notes.add((*where, key, *below), message)
        except BatchfileError as error:
            notes.report.take(error)
    return axes


def _entries(table: Mapping[str, Any], key: str, notes: Notes, where: Where) -> list[dict[str, Any]]:
    entries = table.get(key, [])
    if not isinstance(entries, list):
        notes.add((*where, key), f"expected a list of tables, found {show(entries)}")
        return []
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or not entry:
            notes.add((*where, key, i), f"expected a table with keys, found {show(entry)}")
            continue
        for name, value in entry.items():
            if not _KEY.fullmatch(name):
                notes.add((*where, key, i, name), "a placeholder has letters, digits, `_` and `-`")
            elif not isinstance(value, (*SCALARS, dict)):
                notes.add((*where, key, i, name), f"expected one value, found {show(value)}")
            elif isinstance(value, dict) and not all(isinstance(cell, str) for cell in value.values()):
                notes.add((*where, key, i, name), "expected the columns of a row, all strings")
    return [entry for entry in entries if isinstance(entry, dict)]


class _Matrix:
    """Combinations while `exclude` and `include` change them."""

    def __init__(self, axes: dict[str, list[Value]]) -> None:
        self.axes = tuple(axes)
        self.values = {key: list(values) for key, values in axes.items()}
        self.columns: dict[str, list[int]] = {}
        self.count = math.prod(map(len, axes.values())) if axes else 0
        inner = self.count
        for key, values in axes.items():
            inner //= len(values)
            block = [i for i in range(len(values)) for _ in range(inner)]
            self.columns[key] = block * (self.count // len(block))
        self.original = self.count

    def _matching(self, entry: Mapping[str, Any]) -> list[int]:
        """Return the original combinations that have the values of `entry` on every axis it names."""
        named = [key for key in entry if key in self.axes]
        sets = [{i for i, value in enumerate(self.values[key]) if same(value, entry[key])} for key in named]
        if not all(sets):
            return []
        rows: Any = range(self.original)
        for key, wanted in zip(named, sets, strict=True):
            column = self.columns[key]
            rows = [row for row in rows if column[row] in wanted]
        return list(rows)

    def exclude(self, entries: list[dict[str, Any]]) -> None:
        """Drop the combinations that one of the entries matches."""
        dropped = {row for entry in entries for row in self._matching(entry)}
        if dropped:
            for key, column in self.columns.items():
                self.columns[key] = [i for row, i in enumerate(column) if row not in dropped]
            self.count -= len(dropped)
            self.original = self.count

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
            column = self.columns.setdefault(key, [NONE] * self.count)
            position = self._position(key, value)
            for row in rows:
                column[row] = position

    def _position(self, key: str, value: Any) -> int:
        """Return which value of `key` an entry means; a window of the axis is meant by its start."""
        values = self.values.setdefault(key, [])
        for i, known in enumerate(values):
            if same(known, value) and (key in self.axes or type(known) is type(value)):
                return i
        cells = {name: text(cell) for name, cell in value.items()} if isinstance(value, dict) else None
        values.append(value if cells is None else Row(cells))
        return len(values) - 1

    def combinations(self) -> Combinations:
        """Return what has become of the product."""
        return Combinations(self.axes, self.values, self.columns, self.count, self.count - self.original)
