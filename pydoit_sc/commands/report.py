"""`report`: one HTML file about a batch, from what the store has."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import option
from pydoit_sc.commands.selecting import NAMES, SELECTING
from pydoit_sc.errors import UserError
from pydoit_sc.failing import failing
from pydoit_sc.files import rewriting
from pydoit_sc.origins import check_written
from pydoit_sc.outcomes.failed import READ
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.selection import Selection, among_options, parse_selection, select
from pydoit_sc.tasks.loader import BATCH_OPTIONS_BESIDE_TO, open_project

FILE = "report.html"
_ENDS = (".html", ".htm")


class ReportCommand(Command):
    """Write a page about a batch."""

    name = "report"
    doc_usage = NAMES
    doc_description = (
        "The page is one file that needs no network: how the runs stand, what has failed by kind, a timeline of workers "
        "and their ranks, durations and peak memory by stage and axis, maps over time and another axis, how well "
        "processors and ranks were used, the slowest runs, and a table of all runs that can be searched and sorted. All "
        "comes from the store, and nothing is executed; stderr is read as `failures` does, of at most "
        f"{READ:,} failed runs. An outcome that `sc` has written has no times. A file that is there is replaced.\n"
        "\n"
        "A list of commands needs --remote-output-path, which is called --to elsewhere. A stage named `report` is reached "
        "by `run report`.\n"
        "\n"
        f"FILE ends in {_ENDS[0]} or {_ENDS[1]}, or is a device or a pipe: a file of another kind is not replaced.\n"
        "\n"
        "Exit code: 0, whatever has failed."
    )
    cmd_options = (
        *BATCH_OPTIONS_BESIDE_TO,
        *SELECTING,
        option("to", f"the file to write [default: {FILE}]", metavar="FILE", default=FILE),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Write the page; the exit code is 0, whatever the runs' codes."""
        path = options["to"]
        _check_name(path)
        selection = parse_selection(options, words)
        among = parse_selection(among_options(options), words)
        project = open_project(options)
        check_written(path, project.batch, "--to")
        data, count = report(project, selection, among)
        try:
            with rewriting(path) as file:
                file.write(data)
        except OSError as error:
            raise UserError(f"--to: {path}: {error.strerror}") from error
        # The page itself may have gone to standard output.
        print(f"{path}: {counted(count, 'run')}", file=sys.stderr)
        return 0


def _check_name(path: str) -> None:
    """Raise InvalidCommand for what is not called like a page: it may be anything that a user has written."""
    real = os.path.realpath(path)  # that of a link is written
    is_stream = os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))
    if "://" in path or not (is_stream or real.lower().endswith(_ENDS)):
        hint = "where the outputs are is said by --remote-output-path"
        raise InvalidCommand(
            f"--to: expected a file that ends in {' or '.join(_ENDS)}, found `{path}`; {hint}"
        )


def report(project: Project, selection: Selection, among: Selection) -> tuple[bytes, int]:
    """Return the page about the selected runs, and their number; raises NothingMatchesError.

    The kinds of failures have the numbers that they have among the runs of another selection.
    """
    from pydoit_sc.report.page import About, page  # noqa: PLC0415 - not for `help`
    from pydoit_sc.report.reported import report_of  # noqa: PLC0415

    made = time.time()
    running = project.store.running()  # before the scan: what ends in between is completed
    chosen = select(project, selection) if selection else None
    stages, ledger, runs = project.stages_of(chosen), project.ledger, []
    for stage in stages:
        for run in stage.runs:
            status = ledger.verdict(stage, run, running.get(run.key)).status
            runs.append(report_of(stage, run, status, ledger.records.get(run.key)))
    others = select(project, among) if among else list(project.batch.runs())
    found = failing(project, among, others, scanned=selection == among or selection.of_outcomes)
    failed = {one.task for one in runs if one.record and one.record.code}
    kinds = [
        (number, replace(kind, tasks=tasks))
        for number, kind in found.kinds
        if (tasks := [task for task in kind.tasks if task in failed])
    ]
    again = project.command("run", among.text)
    about = About(project.batch.name, project.batch.remote_output_path, selection.text, made, again)
    return page(about, runs, kinds), len(runs)
