"""`summarize-batch`: show the status of every run, from what the store has."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Status
from pydoit_sc.batchfile import nearest
from pydoit_sc.commands.base import OPT_REMOTE, Command
from pydoit_sc.commands.parsing import format_option, option, parse_choice
from pydoit_sc.plan import ORPHANED, Verdict, judge_live
from pydoit_sc.project import Project
from pydoit_sc.show.screen import data_output
from pydoit_sc.show.tables import table
from pydoit_sc.tasks.loader import OPT_FILE

HEADERS = ("status", "status_code", "remote_output_path", "cmd")  # the seed's
_ALL = (*HEADERS, "name", "reason")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that is one
FORMATS = ("table", "json", "csv")
# The seed's order: failures, completed, the rest.
_ORDER = [Status.ERROR, Status.COMPLETED, Status.STALE, Status.RUNNING, Status.INCOMPLETE, Status.ORPHANED]


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the summary."""

    verdict: Verdict
    status_code: int | None
    remote_output_path: str
    cmd: str
    name: str  # of its doit task

    def cells(self) -> tuple[str, int | None, str, str, str, str]:
        """Return the values of the columns: the seed's four, then ours."""
        verdict = self.verdict
        return (
            verdict.status.value, self.status_code, self.remote_output_path, self.cmd, self.name, verdict.reason,
        )  # fmt: skip


class SummarizeBatchCommand(Command):
    """Show the status of every run."""

    name = "summarize-batch"
    doc_usage = "[BATCH]"
    doc_description = (
        "BATCH is a batchfile, a run list or a chunk; without it, this folder's batchfile. Counts go to standard "
        "error, the rows to standard output. The table cuts long commands; JSON and CSV have them whole. A cell of CSV "
        "that a spreadsheet would take for a formula has a `'` before it."
    )
    cmd_options = (
        OPT_FILE,
        OPT_REMOTE,
        format_option(FORMATS),
        option(
            "status",
            "only runs of this status, or of several joined by commas; `orphaned` lists outputs whose run "
            "is no longer in the batch",
            default="",
        ),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the summary; the exit code is 0, whatever the runs' codes."""
        if len(words) > 1:
            raise InvalidCommand(f"summarize-batch: expected one BATCH at most, found {len(words)}")
        form = parse_choice(options["format"], FORMATS, "--format")
        statuses = parse_statuses(options["status"])
        remote = options["remote_output_path"] or None
        project = Project.load(words[0] if words else options["batchfile"], remote_output_path=remote)
        rows = list(summarize(project, orphans=Status.ORPHANED in statuses))
        rows.sort(key=lambda row: _ORDER.index(row.verdict.status))
        counts = Counter(row.verdict.status for row in rows)
        print(", ".join(f"{counts[s]:,} {s}" for s in _ORDER if counts[s]) or "no runs", file=sys.stderr)
        _print(form, [row for row in rows if not statuses or row.verdict.status in statuses])
        return 0


def parse_statuses(text: str) -> set[Status]:
    """Return the statuses that a comma-separated list names; raises InvalidCommand for an unknown one."""
    known = [status.value for status in Status]
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(names.difference(known)):
        near = nearest(name, known)
        hint = f"did you mean `{near}`?" if near else f"expected one of {', '.join(known)}"
        raise InvalidCommand(f"--status: unknown status `{name}`; {hint}")
    return {Status(name) for name in names}


def summarize(project: Project, *, orphans: bool) -> Iterator[RunRow]:
    """Yield a row for every run, and for every orphaned output if asked."""
    running = project.store.running()  # before the scan: what ends in between is completed
    ledger = project.ledger
    for stage, run in project.batch.runs():
        record = ledger.records.get(run.key)
        verdict = judge_live(ledger.verdict(stage, run), running.get(run.key))
        code = record.code if record else None
        yield RunRow(verdict, code, project.output(run), run.cmd, stage.task_name(run))
    if orphans:
        known = {run.key for _, run in project.batch.runs()}
        for key in sorted(project.store.orphans(known)):
            output = f"{project.batch.remote_output_path}/{key}"
            yield RunRow(ORPHANED, None, output, "", "")


def _print(form: str, rows: Sequence[RunRow]) -> None:
    if form == "json":
        print("[")
        for left, row in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
            print(json.dumps(dict(zip(_ALL, row.cells(), strict=True))), end=",\n" if left else "\n")
        print("]")
    elif form == "csv":
        with data_output() as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(_ALL)
            writer.writerows(map(_as_text, row.cells()) for row in rows)
    else:
        print(table(HEADERS, (row.cells()[: len(HEADERS)] for row in rows)))


def _as_text(cell: str | int | None) -> str | int | None:
    """Return a cell that a spreadsheet takes as text, not as a formula that it would compute."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
