"""Cut chosen runs into chunks, and compare chunks with those of an earlier split."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from typing import Literal

from pydoit_sc.batch import Run, RunSet
from pydoit_sc.chunks.chunk import Before
from pydoit_sc.chunks.chunkfile import EXTRA, chunk_text
from pydoit_sc.ledger import Ledger, Work
from pydoit_sc.submissions.choose import Choice, earlier_fingerprints
from pydoit_sc.submissions.pack import Bounds, pack

#: How many seconds a run takes; None where nothing is known.
Times = Callable[[Work], float | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """How runs are put into chunks."""

    nprocs: int | Literal["cores", "gpus"]  # runs at once; "cores" or "gpus": as many as the machine has
    size: int  # runs in a chunk, or, with `in_slots`, what its runs hold together at most
    always: bool  # completed runs are executed again
    in_slots: bool = True
    ranks: int = 1  # that the runs of a chunk share, as far as that is known
    limit: float = inf  # seconds that a chunk takes at most, unless it is one run
    machines: int | None = None  # that execute chunks at once, where that is said

    def pieces(self, works: Sequence[Work]) -> Iterator[Sequence[Work]]:
        """Yield runs in pieces that fit chunks; one that is larger than a chunk has its own."""
        start = held = 0
        for position, work in enumerate(works):
            slots = work.run.settings.slots if self.in_slots else 1
            if held and held + slots > self.size:
                yield works[start:position]
                start, held = position, 0
            held += slots
        if held:
            yield works[start:]

    def bounds(self, works: Iterable[Work], times: Times) -> Bounds | None:
        """Return what a chunk of these runs takes: a mean piece of them, none of whose ranks is ever idle.

        None where nothing is known of how long they take.
        """
        total, weight = 0.0, 0
        for work in works:
            if (seconds := times(work)) is not None:
                total += seconds * work.run.settings.slots
                weight += work.run.settings.slots if self.in_slots else 1
        if not weight:
            return None
        runs = inf if self.in_slots else self.size
        return Bounds(self.ranks, total / weight * self.size / self.ranks, self.limit, runs, self.machines)

    def packed(self, works: Sequence[Work], times: Times, bounds: Bounds) -> Iterator[Sequence[Work]]:
        """Yield runs in chunks, the longest first.

        Runs of which nothing is known come before them, in pieces: some may be the longest of all.
        """
        known, unknown = list[Work](), list[Work]()
        needs: list[tuple[float, int]] = []
        for work in works:
            if (seconds := times(work)) is None:
                unknown.append(work)
            else:
                known.append(work)
                needs.append((seconds, work.run.settings.slots))
        yield from self.pieces(unknown)
        for chunk in pack(needs, bounds):
            yield [known[position] for position in chunk]


_PAIRED = 2.0  # times longer: a chunk of runs that wait for another chunk alone


@dataclass(frozen=True, slots=True)
class Cut:
    """A submission's chunks, group by group, and what each waits for."""

    groups: list[list[Sequence[Work]]]
    #: For each chunk, in their order, the numbers of those that it waits for; None: all of the groups before its own.
    after: list[tuple[int, ...] | None]


def cut(choice: Choice, shape: Shape, times: Times = lambda work: None) -> Cut:  # noqa: ARG005
    """Cut the chosen runs into chunks, by how long they take where that is known.

    Runs that wait for runs of one chunk alone share chunks. So the chunks of two stages that pair up one to one do, too,
    unless that would make a chunk twice as long as others.
    """
    groups: list[list[Sequence[Work]]] = []
    after: list[tuple[int, ...] | None] = []
    numbers: dict[str, int] = {}  # the chunk of each run
    for group in choice.groups:
        chunks: list[Sequence[Work]] = []
        waits: list[tuple[int, ...] | None] = []
        for part in group:
            bounds = shape.bounds(part, times)
            paired = bounds and replace(bounds, seconds=bounds.seconds * _PAIRED, machines=None)
            for before, works in _alike(part, numbers):
                room = paired if before else bounds
                for piece in shape.packed(works, times, room) if room else shape.pieces(works):
                    chunks.append(piece)
                    waits.append(before if groups else ())
        for number, chunk in enumerate(chunks, len(after)):
            numbers.update((work.run.key, number) for work in chunk if choice.later)
        groups.append(chunks)
        after += waits
    return Cut(groups, after)


def _alike(
    works: Sequence[Work], numbers: Mapping[str, int]
) -> list[tuple[tuple[int, ...] | None, list[Work]]]:
    """Return runs by the one chunk that they wait for, with its number, and last the others, with None."""
    by_chunk: dict[int, list[Work]] = {}
    others: list[Work] = []
    for work in works:
        number = _only_chunk(work.run.after, numbers)
        (others if number is None else by_chunk.setdefault(number, [])).append(work)
    found: list[tuple[tuple[int, ...] | None, list[Work]]] = [((n,), by_chunk[n]) for n in sorted(by_chunk)]
    return [*found, (None, others)] if others else found


def _only_chunk(after: Sequence[Run | RunSet], numbers: Mapping[str, int]) -> int | None:
    """Return the number of the chunk that has all of these runs that are executed, None if there are several, or none."""
    if any(isinstance(one, RunSet) for one in after):
        return None
    found = {numbers[one.key] for one in after if isinstance(one, Run) and one.key in numbers}
    return found.pop() if len(found) == 1 else None


def texts(
    ledger: Ledger, chunks: Iterable[Sequence[Work]], shape: Shape, submission: str, *, waiting: bool
) -> list[str]:
    """Return the texts of chunks; with `waiting` of a later group, whose runs find others completed before they start."""
    earlier = Awaited(ledger) if waiting else None
    return [
        chunk_text(
            ledger.batch,
            works,
            nprocs=shape.nprocs,
            submission=submission,
            always=shape.always,
            before={work.output: earlier.of(work.run) for work in works} if earlier else {},
        )
        for works in chunks
    ]


class Awaited:
    """What the runs of later groups find completed; for runs that others come after together it is looked up once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._together: dict[int, Before] = {}

    def of(self, run: Run) -> tuple[Before, ...]:
        """Return what must be completed before a run."""
        return tuple(map(self._before, run.after))

    def _before(self, one: Run | RunSet) -> Before:
        if isinstance(one, Run):
            return Before(runs=earlier_fingerprints(self._ledger, one))
        if id(one) not in self._together:
            runs = None if one.whole else earlier_fingerprints(self._ledger, one)
            self._together[id(one)] = Before(one.stage) if runs is None else Before(runs=runs)
        return self._together[id(one)]


def covers(chunks: Sequence[str], ledger: Ledger, works: Sequence[Work], shape: Shape) -> bool:
    """Return whether chunks can stay: made again of the same runs they are the same, and `works` are among these.

    So the chunks of a submission keep their numbers while it is executed, although what is completed is not chosen
    again, and more is known of how long runs take. Raises MissingFileDepError.
    """
    batch = ledger.batch
    known = {f"{batch.remote_output_path}/{run.key}": (stage, run) for stage, run in batch.runs()}
    outputs = [[run["remote_output_path"] for run in json.loads(text)["runs"]] for text in chunks]
    every = set(chain.from_iterable(outputs))
    if not {work.output for work in works} <= every <= known.keys():
        return False
    again = [[ledger.work(*known[output]) for output in chunk] for chunk in outputs]
    return same_plan(chunks, texts(ledger, again, shape, "any", waiting=False))


def same_plan(old: Sequence[str], new: Sequence[str]) -> bool:
    """Return whether two submissions' chunks differ in nothing but the ids that each has made for itself."""
    return len(old) == len(new) and all(_essence(a) == _essence(b) for a, b in zip(old, new, strict=True))


def _essence(text: str) -> object:
    data = json.loads(text)
    data[EXTRA].pop("submission", None)
    for run in data["runs"]:
        run.pop("local_results_dir", None)
    return data
