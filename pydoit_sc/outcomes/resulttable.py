"""One table of the results of many runs: its rows on disk, its columns known once all rows have been read.

A value of a file has the column of its key, `loss`. Where the key is in several files of results, or is the name of
another column, such as an axis, the column is `metrics.json:loss`; and that name is understood always. An axis that is
called as a column of ours is `axis:name`.
"""

from __future__ import annotations

import pickle
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from tempfile import TemporaryFile, gettempdir
from types import TracebackType

from pydoit_sc.batchfile import nearest
from pydoit_sc.errors import UserError, on_a_line, shortened
from pydoit_sc.outcomes.flatten import Value, order_of
from pydoit_sc.outcomes.results import ResultKey, ResultRow

FIGURES = ("seconds", "memory")
_NAME = "name"
OURS: dict[str, type] = {_NAME: str, **dict(zip(FIGURES, (float, int), strict=True))}
_SHOWN = 20  # columns in a message


class ResultTable:
    """All rows of some runs, with their columns: the name, axes, FIGURES, and what files of results have.

    with ResultTable(read_results(project.store, project.batch.runs(), print)) as table:
        for name, loss in table.rows(["name", "loss"]):
            ...
    """

    def __init__(self, rows: Iterable[ResultRow], axes: Iterable[str] = ()) -> None:
        """Read the rows; `axes` are those that are known without them, in the order of the batch."""
        self.runs = 0
        self._last = ""  # the run of the last row
        self._file = TemporaryFile()  # noqa: SIM115 - it is closed with the table
        self._starts = array("Q")  # of the rows, in the file
        self._axes: dict[str | int, None] = dict.fromkeys(map(_as_axis, axes))  # a set
        self._fields: dict[ResultKey, int] = {}
        self._types: defaultdict[str | int, set[type]] = defaultdict(set)
        self._types.update({name: {kind} for name, kind in OURS.items()})
        try:
            for row in rows:
                self._add(row)
            self._file.flush()
        except OSError as error:
            with suppress(OSError):  # it is written once more, and closed
                self.close()
            raise UserError(
                f"the rows cannot be kept in {gettempdir()}: {error.strerror}; $TMPDIR names another folder"
            ) from error
        except BaseException:
            self.close()
            raise
        self._places: dict[str, str | int] = {}
        self.columns: Sequence[str] = ()
        self._name_columns()

    def __enter__(self) -> ResultTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the rows."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._starts)

    def _name_columns(self) -> None:
        fixed = (_NAME, *map(str, self._axes), *FIGURES)
        named = name_fields(self._fields, fixed)
        self._places = {
            **dict(zip(fixed, fixed, strict=True)),
            **dict(zip(named, range(len(named)), strict=True)),
        }
        self.columns = tuple(self._places)

    def learn(self, names: Iterable[str], rows: Iterable[ResultRow]) -> None:
        """Read rows that are not kept until there are columns of all these names, which may be those of later runs alone."""
        missing, others = [name for name in names if self._find(name) is None], iter(rows)
        while missing and (row := next(others, None)) is not None:
            known = len(self._axes) + len(self._fields)
            self._cells(row)
            if len(self._axes) + len(self._fields) > known:
                self._name_columns()
                missing = [name for name in missing if self._find(name) is None]

    def _add(self, row: ResultRow) -> None:
        cells = self._cells(row)
        self.runs += row.name != self._last
        self._last = row.name
        self._starts.append(self._file.tell())
        pickle.dump(cells, self._file, pickle.HIGHEST_PROTOCOL)

    def _cells(self, row: ResultRow) -> dict[str | int, Value]:
        """Return the values of a row by the places of their columns, of which new ones become known."""
        record = row.record
        axes: dict[str | int, Value] = {_as_axis(name): value for name, value in row.axes.items()}
        cells: dict[str | int, Value] = {
            **axes,
            _NAME: row.name,
            "seconds": record.seconds if record.started else None,
            "memory": record.memory or None,
        }
        self._axes.update(dict.fromkeys(axes))
        for field, value in row.values.items():
            cells[self._fields.setdefault(field, len(self._fields))] = value
        for place, value in cells.items():
            if value is not None:
                self._types[place].add(type(value))
        return cells

    def types(self, column: str) -> Collection[type]:
        """Return the types of the values in a column: some of str, int, float, bool."""
        return self._types[self._places[column]]

    def rows(self, columns: Sequence[str], order: Iterable[int] | None = None) -> Iterator[list[Value]]:
        """Yield the cells of these columns of each row, None where there is none; in an order that `sorted_by` gave."""
        places = [self._places[column] for column in columns]
        for start in self._starts if order is None else order:
            self._file.seek(start)
            cells = pickle.load(self._file)
            yield [cells.get(place) for place in places]

    def sorted_by(self, columns: Sequence[str], *, descending: bool) -> Sequence[int]:
        """Return the order of the rows by these columns, numbers by size; rows that do not have the value are the last."""
        keys = [list(map(order_of, cells)) for cells in self.rows(columns)]
        order = list(range(len(keys)))
        for column in reversed(range(len(columns))):
            known = {row: key for row in order if (key := keys[row][column]) is not None}
            missing = [row for row in order if row not in known]
            order = sorted(known, key=known.__getitem__, reverse=descending) + missing
        return [self._starts[row] for row in order]

    def column(self, name: str, option: str) -> str:
        """Return the column that a user means by this name; raises UserError, which begins with the name of the option.

        Where there are no rows, nothing is known of the columns: any name is that of an empty one.
        """
        if (found := self._find(name)) is not None:
            return found
        if not self._starts:
            self._places[name] = name
            return name
        named = zip(self._fields, self.columns[len(self.columns) - len(self._fields) :], strict=True)
        if several := sorted(column for field, column in named if name == _in_short(field)):
            raise UserError(
                f"{option}: `{name}` means several columns: {', '.join(map(shortened, several))}; name one of them"
            )
        near = nearest(name, list(self.columns))
        more = f" and {len(self.columns) - _SHOWN:,} more" if len(self.columns) > _SHOWN else ""
        names = ", ".join(map(shortened, self.columns[:_SHOWN]))
        hint = f"did you mean `{shortened(near)}`?" if near else f"there are {names}{more}"
        raise UserError(f"{option}: unknown column `{name}`; {hint}")

    def _find(self, name: str) -> str | None:
        if name in self._places:
            return name
        fields = list(self._fields)
        for number, field in enumerate(fields):
            if name == _in_full(field):
                return self.columns[len(self.columns) - len(fields) + number]
        return None


def name_fields(fields: Collection[ResultKey], taken: Iterable[str]) -> list[str]:
    """Return a name for the column of each value: its key, and with its file where that alone would not be clear.

    Keys are what runs have written: names are on one line, and have bytes in UTF-8.

    >>> name_fields([ResultKey("a.json", "loss"), ResultKey("a.json", "model"), ResultKey("b.json", "n"), ResultKey("c.csv", "n")], ["model"])
    ['loss', 'a.json:model', 'b.json:n', 'c.csv:n']
    """
    used = Counter(chain(taken, map(_in_short, fields)))
    names: dict[str, None] = {}
    for field in fields:
        name = _in_short(field) if used[_in_short(field)] == 1 else _in_full(field)
        while name in names:  # a key may have been written as the name of another column, or of its escapes
            name += "'"
        names[name] = None
    return list(names)


def _as_axis(name: str) -> str:
    return f"axis:{name}" if name in OURS else name


def _in_short(field: ResultKey) -> str:
    return on_a_line(field.key or field.file.rpartition(".")[0] or field.file)


def _in_full(field: ResultKey) -> str:
    return on_a_line(f"{field.file}:{field.key}" if field.key else field.file)
