"""`summarize-batch`: show the status of every run, from what the store has."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Run, Stage, Status
from pydoit_sc.batchfile import nearest
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import format_options, option, parse_format, split_columns
from pydoit_sc.commands.selecting import NAMES, chosen_of, selected, selecting
from pydoit_sc.commands.watch import OPT_WATCH, is_watched, watch
from pydoit_sc.errors import UserError
from pydoit_sc.project import Project
from pydoit_sc.selection import Selection, parse_selection
from pydoit_sc.show.rows import Cell, write_csv, write_json
from pydoit_sc.show.screen import data_output
from pydoit_sc.show.tables import lines, table
from pydoit_sc.sizes import show_size
from pydoit_sc.store import Live, Record
from pydoit_sc.survey import MANY
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.times import local, span, utc
from pydoit_sc.verdicts import ORPHANED, UP_TO_DATE, Verdict

HEADERS = ("status", "status_code", "remote_output_path", "cmd")  # the seed's
FORMATS = ("table", "json", "csv")
# The seed's order: failures, completed, the rest.
_ORDER = [Status.ERROR, Status.COMPLETED, Status.STALE, Status.RUNNING, Status.INCOMPLETE, Status.ORPHANED]
_NOTHING = Record(None)
_COMPLETED = Record(0)  # of which the ledger keeps no more
#: The columns for which no record of a completed run is needed.
_FROM_VERDICTS = frozenset({*HEADERS, "name", "reason"})


class RunRow(NamedTuple):
    """A run in the summary."""

    verdict: Verdict
    remote_output_path: str
    cmd: str = ""
    name: str = ""  # of its doit task
    record: Record | None = None
    live: Live | None = None  # where it executes now

    @property
    def ended(self) -> Record:
        """What is known of how it ended: nothing while it executes, again."""
        return _NOTHING if self.live or self.record is None else self.record

    @property
    def host(self) -> str | None:
        """The machine that executes it, or has executed it."""
        return (self.live.host if self.live else self.ended.host) or None

    @property
    def started(self) -> float | None:
        """When it was started, in seconds since the epoch."""
        return self.live.since if self.live else self.ended.started or None


#: The columns, and the cell of a run in each, as JSON and CSV have it.
COLUMNS: Mapping[str, Callable[[RunRow], Cell]] = {
    "status": lambda row: row.verdict.status.value,
    "status_code": lambda row: row.record.code if row.record else None,
    "remote_output_path": lambda row: row.remote_output_path,
    "cmd": lambda row: row.cmd,
    "name": lambda row: row.name,
    "reason": lambda row: row.verdict.reason,
    "seconds": lambda row: row.ended.seconds if row.ended.started else None,
    "memory": lambda row: row.ended.memory or None,
    "host": lambda row: row.host,
    "submission": lambda row: row.ended.submission or None,
    "started": lambda row: utc(row.started),
    "finished": lambda row: utc(row.ended.ended or None),
}
#: How the table shows cells that are for programs.
_SHOWN: Mapping[str, Callable[[RunRow], Cell]] = {
    "seconds": lambda row: span(row.ended.seconds) if row.ended.started else None,
    "memory": lambda row: show_size(row.ended.memory) if row.ended.memory else None,
    "started": lambda row: local(row.started) if row.started else None,
    "finished": lambda row: local(row.ended.ended) if row.ended.ended else None,
}


class SummarizeBatchCommand(Command):
    """Show the status of every run."""

    name = "summarize-batch"
    doc_usage = NAMES
    doc_description = (
        "BATCH is a batchfile, a run list or a chunk; without it, this folder's batchfile. Counts of all runs go to "
        "standard error, the rows to standard output. --status orphaned lists outputs whose run is no longer in the "
        "batch; names and other options than --limit mean none of these. The table has four columns unless told otherwise, and cuts long commands; JSON and CSV have all columns, whole, with times in UTC and memory in bytes. A cell of CSV that a "
        "spreadsheet would take for a formula has a `'` before it.\n"
        "\n"
        "With `--watch` it is the picture of `status --watch`.\n"
        "\n"
        f"The columns are {', '.join(COLUMNS)}. `memory` is the peak of one process, where that is more than the "
        "worker's own."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *selecting(
            "only so many runs, the first of the batch; with --sort: rows, the first as they are sorted"
        ),
        *format_options(FORMATS, "a list of runs, with the columns"),
        option("columns", "these columns, joined by commas", default=""),
        option(
            "sort",
            "by this column, the smallest first; `-seconds` the largest first [default: failures first]",
            default="",
        ),
        OPT_WATCH,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the summary; the exit code is 0, whatever the runs' codes."""
        form = parse_format(options, FORMATS, self.given)
        columns = _columns(options["columns"]) or (HEADERS if form == "table" else tuple(COLUMNS))
        order = _columns(options["sort"].removeprefix("-"), "--sort")
        project = open_project(options)
        if is_watched(options, form):
            self.refuse_beside("--watch, which shows a picture", ("columns", "sort"))
            return watch(project, selected(project, options, words))
        selection = parse_selection(options, words)
        _check_orphans(selection)
        project.needs_verdicts_only = not (selection or order) and _FROM_VERDICTS.issuperset(columns)
        every = _Every(project)
        counts = every.counts()
        rows: Iterable[RunRow] = every
        if selection or order:
            orphans = list(_orphans(project)) if Status.ORPHANED in selection.statuses else []
            counts[Status.ORPHANED] = len(orphans)
            rows = _sorted(
                project, selection, [*every, *orphans], order, reverse=options["sort"].startswith("-")
            )
        print(", ".join(f"{counts[s]:,} {s}" for s in _ORDER if counts[s]) or "no runs", file=sys.stderr)
        _print(form, columns, rows)
        return 0


def _columns(text: str, option: str = "--columns") -> tuple[str, ...]:
    """Return the columns that a comma-separated list names; raises InvalidCommand for an unknown one."""
    names = tuple(split_columns(text))
    for name in names:
        if name not in COLUMNS:
            near = nearest(name, list(COLUMNS))
            hint = f"did you mean `{near}`?" if near else f"expected some of {', '.join(COLUMNS)}"
            raise InvalidCommand(f"{option}: unknown column `{name}`; {hint}")
    return names


def in_order(rows: Sequence[RunRow], cell: Callable[[RunRow], Any], *, reverse: bool) -> list[RunRow]:
    """Return rows in the order of their cells of a column; those that have none are the last."""
    known = [row for row in rows if cell(row) is not None]
    return [*sorted(known, key=cell, reverse=reverse), *(row for row in rows if cell(row) is None)]


def _sorted(
    project: Project, selection: Selection, rows: Sequence[RunRow], order: Sequence[str], *, reverse: bool
) -> Sequence[RunRow]:
    """Return the selected rows, failures first unless the slowest are to be, or by the cells of some columns."""
    if selection:
        rows = _selected(project, selection._replace(limit=None if order else selection.limit), rows)
    if order or not selection.slowest:
        rows = sorted(rows, key=lambda row: _ORDER.index(row.verdict.status))
    for name in reversed(order):
        rows = in_order(rows, COLUMNS[name], reverse=reverse)
    return rows[: selection.limit]


def _check_orphans(selection: Selection) -> None:
    """Raise UserError where orphaned outputs are asked for beside what only runs have."""
    others = selection._replace(statuses=frozenset(), limit=None, said="")
    if Status.ORPHANED in selection.statuses and others != Selection():
        raise UserError(
            "--status: orphaned outputs have no run in the batch any more; expected other statuses and --limit alone "
            f"beside it, found `{selection.text}`"
        )


def _selected(project: Project, selection: Selection, rows: Sequence[RunRow]) -> list[RunRow]:
    by_output = {row.remote_output_path: row for row in rows}
    of_runs = selection._replace(statuses=selection.statuses - {Status.ORPHANED})
    chosen = [] if selection.statuses == {Status.ORPHANED} else chosen_of(project, of_runs)
    orphans = [row for row in rows if row.verdict.status is Status.ORPHANED]
    return [*(by_output[project.output(run)] for _, run in chosen), *orphans]


class _Every(Iterable[RunRow]):
    """A row for every run, failures first; each is made when it is asked for, since there may be a million."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._running = project.store.running()  # before the scan: what ends in between is completed
        self._places = list(map(self._places_of, project.batch.stages))

    def counts(self) -> Counter[Status]:
        """Return how many runs have each status."""
        counts = Counter[int]()
        for places in self._places:
            counts.update(places)
        return Counter({_ORDER[place]: count for place, count in counts.items()})

    def __len__(self) -> int:
        return self._project.batch.size

    def __iter__(self) -> Iterator[RunRow]:
        for status in range(len(_ORDER)):
            for stage, places in zip(self._project.batch.stages, self._places, strict=True):
                for i, place in enumerate(places):
                    if place == status:
                        yield self._row(stage, stage.runs[i])

    def _places_of(self, stage: Stage) -> bytearray:
        """Return for each run the place of its status in the order."""
        places = bytearray([_ORDER.index(Status.COMPLETED)]) * len(stage.runs)
        for run in self._project.ledger.unsettled(stage, self._running):
            places[run.position] = _ORDER.index(self._verdict(stage, run).status)
        return places

    def _verdict(self, stage: Stage, run: Run) -> Verdict:
        return self._project.ledger.verdict(stage, run, self._running.get(run.key))

    def _row(self, stage: Stage, run: Run) -> RunRow:
        verdict = self._verdict(stage, run)
        record = self._project.ledger.records.get(run.key) or (_COMPLETED if verdict == UP_TO_DATE else None)
        live = self._running.get(run.key) if verdict.status is Status.RUNNING else None
        return RunRow(verdict, self._project.output(run), run.cmd, stage.task_name(run), record, live)


def _orphans(project: Project) -> Iterator[RunRow]:
    """Yield a row for every output whose run is no longer in the batch."""
    for key in project.orphans():
        yield RunRow(ORPHANED, f"{project.batch.remote_output_path}/{key}")


def _print(form: str, columns: Sequence[str], rows: Iterable[RunRow]) -> None:
    if form == "table":
        shown = {**COLUMNS, **_SHOWN}

        def cells() -> Iterable[Sequence[Cell]]:
            return ([shown[name](row) for name in columns] for row in rows)

        if isinstance(rows, _Every) and len(rows) > MANY:
            for line in lines(columns, cells, _SHOWN):
                print(line)
        else:
            print(table(columns, cells(), _SHOWN))
        return
    made = ([COLUMNS[name](row) for name in columns] for row in rows)
    with data_output() as stream:
        (write_json if form == "json" else write_csv)(stream, columns, made)
