"""The values of an axis of a stage, as the rows or columns of a chart: few of them, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pydoit_sc.batchfile.values import DATE, NUMBER, text
from pydoit_sc.report.reported import Reported


class Levels(NamedTuple):
    """An axis: what its values are called, and which of them each run has."""

    axis: str
    labels: Sequence[str]
    of: Sequence[int]  # a position in the labels for each run; -1: it has no such axis
    is_time: bool


def columns_of(runs: Sequence[Reported]) -> Mapping[str, Sequence[str]]:
    """Return the values of each axis of a stage's runs that differ between them, "" where there is none; a window's is its start."""
    axes = [one.stage.axes_of(one.run) for one in runs]
    names = dict.fromkeys(name for values in axes for name in values)
    columns = {name.removesuffix(".start"): [text(values.get(name, "")) for values in axes] for name in names}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def levels_of(axis: str, values: Sequence[str], most: int) -> Levels | None:
    """Return at most so many levels: numbers and dates that are more are put together, neighbours with neighbours.

    None for texts that are more, such as a name of its own for each run.

    >>> levels_of("seed", ["30", "10", "20", "100", ""], 2)
    Levels(axis='seed', labels=['10 … 20', '30 … 100'], of=[1, 0, 0, 1, -1], is_time=False)
    >>> levels_of("model", ["b", "a", "b"], 2).labels, levels_of("model", ["b", "a", "c"], 2)
    (['b', 'a'], None)
    """
    distinct = [value for value in dict.fromkeys(values) if value]
    order = _order(distinct)
    if order is not None:
        distinct.sort(key=order)
    elif len(distinct) > most:
        return None
    size = -(-len(distinct) // most)
    groups = [distinct[i : i + size] for i in range(0, len(distinct), size)]
    labels = [group[0] if len(group) == 1 else f"{group[0]} … {group[-1]}" for group in groups]
    places = {value: i for i, group in enumerate(groups) for value in group}
    return Levels(axis, labels, [places.get(value, -1) for value in values], order is str)


def _order(values: Sequence[str]) -> Callable[[str], str | float] | None:
    """Return by what values are sorted, numbers by size and dates as texts; None for other texts."""
    if all(map(DATE.match, values)):
        return str
    return float if all(map(NUMBER.fullmatch, values)) else None
