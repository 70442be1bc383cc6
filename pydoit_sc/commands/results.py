"""`results`: one table of what the runs have written into their files of results."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import TextIOWrapper
from typing import Any, TextIO

from doit.exceptions import InvalidCommand

from pydoit_sc.chosenresults import results_of
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import format_options, option, parse_format, split_columns
from pydoit_sc.commands.selecting import NAMES, chosen_of, selecting
from pydoit_sc.errors import UserError, on_a_line, reason, shortened
from pydoit_sc.files import rewriting
from pydoit_sc.origins import check_written
from pydoit_sc.outcomes.flatten import Value
from pydoit_sc.outcomes.results import LARGEST_RESULT
from pydoit_sc.outcomes.resulttable import ResultTable
from pydoit_sc.selection import parse_selection
from pydoit_sc.show import frames
from pydoit_sc.show.rows import Rows, write_csv, write_json, write_json_lines
from pydoit_sc.show.screen import data_output
from pydoit_sc.show.tables import fitting, table
from pydoit_sc.sizes import show_size
from pydoit_sc.tasks.loader import BATCH_OPTIONS_BESIDE_TO, open_project
from pydoit_sc.times import span

FORMATS = ("table", "json", "csv")
FILES = (".csv", ".jsonl", ".parquet", ".duckdb")
_TOLD = 20  # files that cannot be read
_OTHERS = 8  # columns that are not shown
_SOME_LEFT = 2  # the exit code


class ResultsCommand(Command):
    """Show one table of results."""

    name = "results"
    doc_usage = NAMES
    doc_description = (
        "A row for each run with status code 0; --status or --code asks for others. It has the run's name, the values of its "
        "axes (of a list its command), the seconds that it took, the peak of its memory, and what it has written into "
        "$SATURN_RUN_LOCAL_RESULTS_DIR: files *.json there, with dotted names for what is nested, and files *.csv. A file with several rows gives its run "
        "several rows, which also have what its other files say.\n"
        "\n"
        "A column is called as the key, `loss`; where several files have that key, or an axis has that name, "
        "`metrics.json:loss`, which is understood always. The table rounds numbers, and on a terminal has the columns "
        "that there is room for; JSON and CSV have them whole, with seconds and bytes.\n"
        "\n"
        f"A file that cannot be read, or has more than {LARGEST_RESULT >> 20} MiB, is named at the end, and the rest is shown.\n"
        "\n"
        f"--to writes {', '.join(FILES[:-1])} or {FILES[-1]}, by how FILE ends; the last two need pydoit-sc[frames]. A database "
        f"gets the table `{frames.TABLE}`, and keeps its others.\n"
        "\n"
        "Exit code: 0, 2 where a file could not be read."
    )
    cmd_options = (
        *BATCH_OPTIONS_BESIDE_TO,
        *selecting("only so many rows, the first as they are sorted"),
        option("columns", "these columns, joined by commas", default=""),
        option("sort", "by this column, the smallest first; `-loss` the largest first", default=""),
        *format_options(FORMATS, "a list of rows, with the columns"),
        option("into", "write a file", long="to", metavar="FILE", default=""),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print or write the table."""
        form = parse_format(options, FORMATS, self.given)
        into = options["into"]
        if into and not os.path.splitext(into)[1].lower().startswith(f".{form}"):
            self.refuse_beside(f"--to {into}, whose ending says how it is written", ("format", "as_json"))
        write: Callable[..., None] = partial(_print_data, form)
        if into:
            write = partial(_writer(into), into)
        elif form == "table":
            write = partial(_print_table, options)
        project = open_project(options)
        if into:
            check_written(into, project.batch, "--to")
        selection = parse_selection(options, words)
        among = selection._replace(limit=None)
        chosen = chosen_of(project, among) if among else list(project.batch.runs())
        bad = _Told()
        sort = options["sort"]
        with results_of(
            project,
            selection,
            chosen,
            bad,
            columns=split_columns(options["columns"]),
            sort=split_columns(sort.removeprefix("-")),
            descending=sort.startswith("-"),
        ) as asked:
            results = asked.table
            try:
                write(*asked)
            except OSError as error:
                raise UserError(f"--to: {reason(error)}") from error
            limited = selection.limit is not None and selection.limit < len(results)
            first = f"the first {selection.limit:,} of " if limited else ""
            said = f"{results.runs:,} of {len(chosen):,} runs, {first}{len(results):,} rows"
            print(said, file=sys.stderr, flush=True)
        bad.end()
        return _SOME_LEFT if bad.count else 0


class _Told:
    """Keeps the first lines on files that cannot be read, for the end."""

    def __init__(self) -> None:
        self.count = 0
        self._lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.count += 1
        if len(self._lines) < _TOLD:
            self._lines.append(line)

    def end(self) -> None:
        """Print them."""
        for line in self._lines:
            print(f"warning: {on_a_line(line)}", file=sys.stderr)
        if self.count > len(self._lines):
            print(f"warning: and {self.count - len(self._lines):,} more files", file=sys.stderr)


def _print_data(form: str, _: ResultTable, columns: Sequence[str], rows: Rows) -> None:
    with data_output() as stream:
        (write_json if form == "json" else write_csv)(stream, columns, rows)


def _print_table(
    options: Mapping[str, Any], results: ResultTable, columns: Sequence[str], rows: Rows
) -> None:
    """Print the columns that are asked for, else those that a terminal has room for, with those of --sort."""
    shows = [_SHOWN.get(column, _rounded) for column in columns]
    cells = [[show(cell) for show, cell in zip(shows, row, strict=True)] for row in rows]
    places: Sequence[int] = range(len(columns))
    if not options["columns"]:
        sort = split_columns(options["sort"].removeprefix("-"))
        first = {columns[0], *(results.column(name, "--sort") for name in sort)}
        places = fitting(columns, cells, first)
    kinds = {column: set(results.types(column)) for column in columns}
    right = [column for column in columns if kinds[column] and kinds[column] <= {int, float}]
    shown = ([row[place] for place in places] for row in cells)
    print(table([columns[place] for place in places], shown, right))
    if others := [column for place, column in enumerate(columns) if place not in places]:
        names = f"{', '.join(map(shortened, others[:_OTHERS]))}{', …' if len(others) > _OTHERS else ''}"
        print(f"and {len(others):,} more columns: {names}; --columns chooses", file=sys.stderr)


def _rounded(value: Any) -> Value:
    return f"{value:.6g}" if isinstance(value, float) else value


#: How a screen has cells that are for programs.
_SHOWN: dict[str, Callable[[Any], Value]] = {
    "seconds": lambda value: None if value is None else span(value),
    "memory": lambda value: None if value is None else show_size(value),
}


Writing = Callable[[str, ResultTable, Sequence[str], Rows], None]


def _writer(path: str) -> Writing:
    """Return what writes a file of this name; raises InvalidCommand, or UserError where a library is missing."""
    end = os.path.splitext(path)[1].lower()
    if end not in FILES or "://" in path:
        hint = "where the outputs are is said by --remote-output-path"
        raise InvalidCommand(f"--to: expected a file that ends in {', '.join(FILES)}, found `{path}`; {hint}")
    if end in (".csv", ".jsonl"):
        return partial(_write_text, write_csv if end == ".csv" else write_json_lines)
    frames.need("polars", *(("duckdb",) if end == ".duckdb" else ()))
    return partial(_write_frame, frames.write_duckdb if end == ".duckdb" else frames.write_parquet)


def _write_text(
    write: Callable[[TextIO, Sequence[str], Rows], None],
    path: str,
    _: ResultTable,
    columns: Sequence[str],
    rows: Rows,
) -> None:
    with rewriting(path) as file, TextIOWrapper(file, "utf-8", "backslashreplace", newline="") as stream:
        write(stream, columns, rows)


def _write_frame(
    write: Callable[[str, Any], None], path: str, results: ResultTable, columns: Sequence[str], rows: Rows
) -> None:
    write(path, frames.frame(columns, [results.types(column) for column in columns], rows))
