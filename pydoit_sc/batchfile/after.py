"""What runs come after: the words of `after`, to the runs and stages that they name."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import translate
from functools import cached_property
from itertools import repeat

from pydoit_sc.batch import Run, RunSet, Stage, is_pattern
from pydoit_sc.batchfile.errors import SHOWN, nearest
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.made import Befores, MadeRuns, Picked, Texts, names_of

_SOME = 5  # names in a message
_MAGIC = re.compile(r"[*?\[]")

Named = Run | RunSet


class AfterError(ValueError):
    """A word of `after` names nothing; the text says what there is."""


class StageIndex:
    """A stage that others come after: its runs by what a word says of them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._found: dict[str, Named] = {}

    @cached_property
    def _at(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(names_of(self._stage.runs))}

    @cached_property
    def _sorted(self) -> list[tuple[str, int]]:
        return sorted((name, i) for i, name in enumerate(names_of(self._stage.runs)))

    def column(self, names: Texts) -> Named | Sequence[Named]:
        """Return what all of these names or patterns name, or each of them; raises AfterError.

        Where they are names, no run is kept: of a stage with the same names the runs are its own, else their positions.
        """
        stage, runs = self._stage.name, self._stage.runs
        if all(isinstance(part, str) for part in names.parts):
            return self.find(f"{stage}:{names[0]}")
        if self._stage.single or any(map(is_pattern, names.pieces())):
            return [self.find(f"{stage}:{name}") for name in names]
        if isinstance(runs, MadeRuns) and runs.names == names:
            return runs
        try:
            return Picked(runs, array("i", map(self._at.__getitem__, names)))
        except KeyError as missing:
            raise AfterError(self._unknown(missing.args[0])) from None

    def find(self, word: str) -> Named:
        """Return what a word names: `align`, `align:s1` or `align:s*`; raises AfterError.

        A word gives the same value each time, so what all runs of a stage come after is there once.
        """
        if word not in self._found:
            self._found[word] = self._look_up(word.partition(":")[2])
        return self._found[word]

    def _look_up(self, name: str) -> Named:
        stage = self._stage
        if stage.single and name:
            raise AfterError(f"stage `{stage.name}` is one run, without a name; write `{stage.name}`")
        if stage.single:
            return stage.runs[0]
        if not name:
            return RunSet(stage.name, stage.runs, whole=True)
        if is_pattern(name):
            members = array("i", sorted(self._matching(name)))
            if members:
                return RunSet(stage.name, Picked(stage.runs, members), whole=False)
            raise AfterError(f"no run of `{stage.name}` matches `{name}`; {self._some()}")
        if name in self._at:
            return stage.runs[self._at[name]]
        raise AfterError(self._unknown(name))

    def _unknown(self, name: str) -> str:
        stage = self._stage.name
        near = nearest(name, [known for known, _ in self._sorted[:10_000]])
        hint = f"did you mean `{stage}:{near}`?" if near else self._some()
        return f"stage `{stage}` has no run `{name}`; {hint}"

    def _matching(self, pattern: str) -> Iterator[int]:
        """Yield the positions of the runs that match: of those alone that begin as the pattern does are looked at."""
        begin = _MAGIC.split(pattern, maxsplit=1)[0]
        matches = re.compile(translate(pattern)).match
        # By position, since a slice would copy the rest.
        for at in range(bisect_left(self._sorted, (begin, -1)), len(self._sorted)):
            name, i = self._sorted[at]
            if not name.startswith(begin):
                return
            if matches(name):
                yield i

    def _some(self) -> str:
        names = [f"`{run.name}`" for run in self._stage.runs[:_SOME]]
        more = len(self._stage.runs) - len(names)
        return f"it has {', '.join(names)}" + (f" and {more:,} more" if more else "")


def put_together(
    words: Sequence[str], columns: Sequence[Named | Sequence[Named]], count: int
) -> Sequence[tuple[Named, ...]]:
    """Return what each of so many runs comes after, from what each word names: the same for all of them, or one for each."""
    common = [one for one in columns if isinstance(one, (Run, RunSet))]
    made = [one for one in columns if isinstance(one, (MadeRuns, Picked))]
    stages = {word.partition(":")[0] for word in words}
    if len(common) + len(made) == len(stages) == len(words):  # no run is named twice
        return Befores(tuple(common), made, count)
    known: dict[tuple[str | int, ...], tuple[Named, ...]] = {}
    rows = zip(
        *(repeat(one, count) if isinstance(one, (Run, RunSet)) else one for one in columns), strict=True
    )
    return [known.setdefault(tuple(map(_key, row)), _combined(row)) for row in rows]


def _key(one: Named) -> str | int:
    return one.key if isinstance(one, Run) else id(one)


def _combined(named: Sequence[Named]) -> tuple[Named, ...]:
    """Return what several words name, each run once."""
    if len(named) == 1:
        return (named[0],)
    whole = {one.stage for one in named if isinstance(one, RunSet) and one.whole}
    groups = {
        id(one): one for one in named if isinstance(one, RunSet) and (one.whole or one.stage not in whole)
    }
    within = (
        {run.key for group in groups.values() for run in group.members} if len(named) > len(groups) else set()
    )
    runs = {one.key: one for one in named if isinstance(one, Run) and one.key not in within}
    return (*groups.values(), *runs.values())


def stage_order(declared: Mapping[str, Sequence[str]], notes: Notes) -> list[str]:
    """Return the stages in an order in which each follows those that it comes after, from the words of `after`.

    What is wrong with that order is noted.
    """
    import graphlib  # noqa: PLC0415 - few batches have an order

    graph: dict[str, list[str]] = {name: [] for name in declared}
    for name, words in declared.items():
        for i, word in enumerate(words):
            other, colon, run = word.partition(":")
            if fault := _fault(name, other, declared, notes):
                notes.add(("runs", name, "after", i), fault)
            elif colon and not run:
                said = f"no name behind the `:`; the whole stage is `{other}`"
                notes.add(("runs", name, "after", i), said)
            else:
                graph[name].append(other)
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        cycle = [str(name) for name in reversed(error.args[1])]
        order = " after ".join(f"`{name}`" for name in cycle)
        notes.add(("runs", cycle[0], "after"), f"the stages wait for each other: {order}")
        return []


def _fault(name: str, other: str, declared: Mapping[str, object], notes: Notes) -> str | None:
    """Return what is wrong with the stage that a word of `after` begins with."""
    if other == name:
        return f"`{name}` cannot come after itself"
    if other in declared:
        return None
    if "{" in other:
        return f"the stage is written out, found `{other}`; placeholders stand behind the `:`"
    near = nearest(other, declared) if notes.report.count < SHOWN else None
    return f"no stage `{other}`" + (f"; did you mean `{near}`?" if near else "")
