"""Texts and runs as sequences that make each one when it is asked for: a matrix or a run list may have a million."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, islice, repeat
from operator import lt
from typing import TypeVar, overload

from pydoit_sc.batch import PLAIN, Run, RunSet, Settings

T = TypeVar("T")

MANY = 4  # of so many runs in a row that one is wanted of, all are made in less time than that one by itself
_BLOCK = 32  # texts that are packed into one value: of more, it takes longer to find one of them

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
class Packed(Made[str]):
    """Texts without NUL, packed in blocks: as values of their own, short ones take twice the room."""

    blocks: Sequence[bytes]
    rows: range  # which of the texts in the blocks

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        if self.rows.step != 1:
            return map(self._text, self.rows)
        first, skipped = divmod(self.rows.start, _BLOCK)
        texts = chain.from_iterable(map(_unpacked, islice(self.blocks, first, None)))
        return islice(texts, skipped, skipped + len(self.rows))

    def _text(self, row: int) -> str:
        return _unpacked(self.blocks[row // _BLOCK])[row % _BLOCK]

    def _one(self, i: int) -> str:
        return self._text(self.rows[i])

    def _some(self, rows: slice) -> Packed:
        return Packed(self.blocks, self.rows[rows])


def pack(texts: Iterable[str]) -> Packed:
    """Return texts, none of which has a NUL, in little room."""
    packing = Packing()
    for text in texts:
        packing.add(text)
    return packing.packed()


class Packing:
    """Packs texts as they come."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._open: list[str] = []

    def add(self, text: str) -> None:
        """Add a text, which has no NUL."""
        self._open.append(text)
        if len(self._open) == _BLOCK:
            self._close()

    def packed(self) -> Packed:
        """Return all texts; none can be added then."""
        count = len(self._blocks) * _BLOCK + len(self._open)
        self._close()
        return Packed(self._blocks, range(count))

    def _close(self) -> None:
        self._blocks.append("\0".join(self._open).encode("utf-8", "surrogatepass"))
        self._open.clear()


def _unpacked(block: bytes) -> list[str]:
    return block.decode("utf-8", "surrogatepass").split("\0")


@dataclass(slots=True, eq=False, repr=False)
class MadeRuns(Made[Run]):
    """The runs of a stage, by the columns of what they are made of."""

    stage: str
    names: Sequence[str]
    cmds: Sequence[str]
    settings: Sequence[Settings]
    after: Sequence[tuple[Run | RunSet, ...]]
    positions: range
    results_dirs: Sequence[str] = ()  # of each run, "" for none; empty where none has one

    @property
    def prefix(self) -> str:
        """What stands before the name of a run in its key."""
        return "" if self.stage == PLAIN else f"{self.stage}/"

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Run]:
        prefix = self.prefix
        dirs = self.results_dirs or repeat("", len(self))
        columns = zip(self.names, self.cmds, self.settings, self.after, self.positions, dirs, strict=True)
        for name, cmd, settings, after, position, results_dir in columns:
            yield Run(name, cmd, prefix + name, settings, results_dir or None, after, position)

    def _one(self, i: int) -> Run:
        name, position = self.names[i], self.positions[i]
        results_dir = self.results_dirs[i] if self.results_dirs else None
        return Run(
            name,
            self.cmds[i],
            self.prefix + name,
            self.settings[i],
            results_dir or None,
            self.after[i],
            position,
        )

    def _some(self, rows: slice) -> MadeRuns:
        return MadeRuns(
            self.stage,
            self.names[rows],
            self.cmds[rows],
            self.settings[rows],
            self.after[rows],
            self.positions[rows],
            self.results_dirs[rows],
        )


@dataclass(slots=True, eq=False, repr=False)
class Picked(Made[T]):
    """Some of a sequence, by their positions in it: some of a stage's runs, or a value for each of many."""

    whole: Sequence[T]
    positions: Sequence[int]

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[T]:
        is_dense = MANY * len(self.positions) > len(self.whole)
        if not is_dense or not all(map(lt, self.positions, islice(self.positions, 1, None))):
            return map(self.whole.__getitem__, self.positions)
        wanted = bytearray(len(self.whole))
        for position in self.positions:
            wanted[position] = 1
        return compress(self.whole, wanted)

    def _one(self, i: int) -> T:
        return self.whole[self.positions[i]]

    def _some(self, rows: slice) -> Picked[T]:
        return Picked(self.whole, self.positions[rows])


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
    return runs.names if isinstance(runs, MadeRuns) else (run.name for run in runs)


def keys_of(runs: Sequence[Run]) -> Sequence[str]:
    """Return the keys of runs, in the same way."""
    if not isinstance(runs, MadeRuns):
        return [run.key for run in runs]
    if not runs.prefix:
        return runs.names
    if not isinstance(runs.names, Texts):
        return [runs.prefix + name for name in runs.names]
    return Texts([runs.prefix, *runs.names.parts], runs.names.size)
