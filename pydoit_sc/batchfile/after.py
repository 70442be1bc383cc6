"""What runs come after: the words of `after`, to the runs and stages that they name."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import translate
from functools import cached_property

from pydoit_sc.batch import Run, RunSet, Stage, is_pattern
from pydoit_sc.batchfile.errors import SHOWN, nearest
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.made import Picked

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
    def _by_name(self) -> Mapping[str, Run]:
        return {run.name: run for run in self._stage.runs}

    @cached_property
    def _sorted(self) -> list[tuple[str, int]]:
        return sorted((run.name, i) for i, run in enumerate(self._stage.runs))

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
        if name in self._by_name:
            return self._by_name[name]
        near = nearest(name, [name for name, _ in self._sorted[:10_000]])
        raise AfterError(
            f"stage `{stage.name}` has no run `{name}`; "
            + (f"did you mean `{stage.name}:{near}`?" if near else self._some())
        )

    def _matching(self, pattern: str) -> Iterator[int]:
        """Yield the positions of the runs that match: of those alone that begin as the pattern does are looked at."""
        begin = _MAGIC.split(pattern, maxsplit=1)[0]
        matches = re.compile(translate(pattern)).match
        for name, i in self._sorted[bisect_left(self._sorted, (begin, -1)) :]:
            if not name.startswith(begin):
                return
            if matches(name):
                yield i

    def _some(self) -> str:
        names = [f"`{run.name}`" for run in self._stage.runs[:_SOME]]
        more = len(self._stage.runs) - len(names)
        return f"it has {', '.join(names)}" + (f" and {more:,} more" if more else "")


def combined(named: Sequence[Named]) -> tuple[Named, ...]:
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
            other = word.partition(":")[0]
            if fault := _fault(name, other, declared, notes):
                notes.add(("runs", name, "after", i), fault)
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
