"""The table of results of chosen runs: which outcomes, columns and rows of it are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from pydoit_sc.batch import Run, Stage
from pydoit_sc.outcomes.flatten import Value
from pydoit_sc.outcomes.results import axes_of, is_completed, read_results
from pydoit_sc.outcomes.resulttable import ResultTable
from pydoit_sc.project import Project
from pydoit_sc.selection import Chosen, Selection
from pydoit_sc.store import Record


class AskedRows(NamedTuple):
    """The part of a table of results that is asked for."""

    table: ResultTable
    columns: Sequence[str]
    rows: Iterator[list[Value]]


@contextmanager
def results_of(  # noqa: PLR0913 - what is asked for
    project: Project,
    selection: Selection,
    chosen: Chosen,
    tell: Callable[[str], None],
    *,
    columns: Sequence[str],
    sort: Sequence[str],
    descending: bool,
) -> Iterator[AskedRows]:
    """Give the results of chosen runs, which are those of the selection without its limit: that counts rows.

    All columns if none are named, and a named one is there, once, if any of the chosen runs has it; sorted by those of
    `sort`, if any. `tell` gets a line for each file that cannot be read. Raises StoreError, and UserError for unknown columns.
    """
    rows = read_results(project.store, chosen, tell, _taken(selection))
    with ResultTable(rows if sort else islice(rows, selection.limit), axes_among(chosen)) as table:
        table.learn(columns, rows)
        by = [table.column(name, "--sort") for name in sort]
        named = dict.fromkeys(table.column(name, "--columns") for name in columns)
        shown = list(named or table.columns)
        order = table.sorted_by(by, descending=descending) if by else None
        yield AskedRows(table, shown, islice(table.rows(shown, order), selection.limit))


def axes_among(chosen: Iterable[tuple[Stage, Run]]) -> list[str]:
    """Return the names of the axes of runs, as far as the first run of each stage has them."""
    firsts: dict[int, tuple[Stage, Run]] = {}
    for stage, run in chosen:
        firsts.setdefault(id(stage), (stage, run))
    return list(dict.fromkeys(name for stage, run in firsts.values() for name in axes_of(stage, run)))


def _taken(selection: Selection) -> Callable[[Record], bool]:
    """Return which outcomes are shown: those with status code 0, where nothing is said of outcomes that failed, too."""
    said = selection.statuses or selection.codes or selection.like or selection.group
    return (lambda _: True) if said else is_completed
