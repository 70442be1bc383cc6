"""Texts and runs as sequences that make each one when it is asked for: a matrix may have a million."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TypeVar, overload

from pydoit_sc.batch import Run, RunSet, Settings

T = TypeVar("T")

#: The positions of a column's values, and the values; or a text that all have.
Part = str | tuple[Sequence[int], Sequence[str]]


class Made(Sequence[T]):
    """A sequence that keeps none of its elements. A slice of it is one, too."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError

    def _one(self, i: int) -> T:
        raise NotImplementedError

    def _some(self, rows: slice) -> Sequence[T]:
        raise NotImplementedError

    @overload
    def __getitem__(self, i: int) -> T: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[T]: ...
    def __getitem__(self, i: int | slice) -> T | Sequence[T]:
        return self._some(i) if isinstance(i, slice) else self._one(range(len(self))[i])


@dataclass(slots=True, repr=False)
class Texts(Made[str]):
    """What a template is for each combination of a matrix."""

    parts: Sequence[Part]
    size: int

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[str]:
        columns = [
            repeat(part, self.size) if isinstance(part, str) else map(part[1].__getitem__, part[0])
            for part in self.parts
        ]
        return map("".join, zip(*columns, strict=True)) if columns else repeat("", self.size)

    def isascii(self) -> bool:
        """Return whether all of them are ASCII."""
        return all(map(str.isascii, self.pieces()))

    def pieces(self) -> Iterator[str]:
        """Yield all that they are put together from."""
        return chain.from_iterable([part] if isinstance(part, str) else part[1] for part in self.parts)

    def longest(self) -> int:
        """Return a length that none of them is beyond."""
        return sum(
            len(part) if isinstance(part, str) else max(map(len, part[1]), default=0) for part in self.parts
        )

    def _one(self, i: int) -> str:
        return "".join([part if isinstance(part, str) else part[1][part[0][i]] for part in self.parts])

    def _some(self, rows: slice) -> Texts:
        parts = [part if isinstance(part, str) else (part[0][rows], part[1]) for part in self.parts]
        return Texts(parts, len(range(self.size)[rows]))


@dataclass(slots=True, eq=False, repr=False)
class MatrixRuns(Made[Run]):
    """The runs of a stage with a matrix, by the columns of what they are made of."""

    stage: str
    names: Sequence[str]
    cmds: Sequence[str]
    settings: Sequence[Settings]
    after: Sequence[tuple[Run | RunSet, ...]]
    positions: range

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Run]:
        prefix = f"{self.stage}/"
        columns = zip(self.names, self.cmds, self.settings, self.after, self.positions, strict=True)
        for name, cmd, settings, after, position in columns:
            yield Run(name, cmd, prefix + name, settings, None, after, position)

    def _one(self, i: int) -> Run:
        name, after = self.names[i], self.after[i]
        return Run(
            name, self.cmds[i], f"{self.stage}/{name}", self.settings[i], None, after, self.positions[i]
        )

    def _some(self, rows: slice) -> MatrixRuns:
        return MatrixRuns(
            self.stage,
            self.names[rows],
            self.cmds[rows],
            self.settings[rows],
            self.after[rows],
            self.positions[rows],
        )


@dataclass(slots=True, eq=False, repr=False)
class Picked(Made[Run]):
    """Some of a stage's runs, by their positions in the stage."""

    runs: Sequence[Run]
    positions: Sequence[int]

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Run]:
        return map(self.runs.__getitem__, self.positions)

    def _one(self, i: int) -> Run:
        return self.runs[self.positions[i]]

    def _some(self, rows: slice) -> Picked:
        return Picked(self.runs, self.positions[rows])


@dataclass(slots=True, eq=False, repr=False)
class Befores(Made[tuple[Run | RunSet, ...]]):
    """What each run of a stage comes after: some that are the same for all, and one of each column."""

    common: tuple[Run | RunSet, ...]
    columns: Sequence[Sequence[Run]]
    size: int

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[Run | RunSet, ...]]:
        if not self.columns:
            return repeat(self.common, self.size)
        return zip(*(repeat(one, self.size) for one in self.common), *self.columns, strict=True)

    def _one(self, i: int) -> tuple[Run | RunSet, ...]:
        return (*self.common, *(column[i] for column in self.columns))

    def _some(self, rows: slice) -> Befores:
        columns = [column[rows] for column in self.columns]
        return Befores(self.common, columns, len(range(self.size)[rows]))


def names_of(runs: Sequence[Run]) -> Iterable[str]:
    """Return the names of runs, without making the runs where that can be."""
    return runs.names if isinstance(runs, MatrixRuns) else (run.name for run in runs)


def keys_of(runs: Sequence[Run]) -> Sequence[str]:
    """Return the keys of runs, in the same way."""
    if not isinstance(runs, MatrixRuns):
        return [run.key for run in runs]
    if not isinstance(runs.names, Texts):
        return [f"{runs.stage}/{name}" for name in runs.names]
    return Texts([f"{runs.stage}/", *runs.names.parts], runs.names.size)
