"""`summarize-batch`: how every run of a batch stands, from what its store has."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Status
from pydoit_sc.batchfile import nearest
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.commands.base import OPT_REMOTE, Command, parse_choice
from pydoit_sc.project import Project
from pydoit_sc.tasks.loader import OPT_FILE

HEADERS = ("status", "status_code", "remote_output_path", "cmd")
FORMATS = ("table", "json", "csv")
# The seed's order: failures, completed, the rest.
_ORDER = [Status.ERROR, Status.COMPLETED, Status.STALE, Status.RUNNING, Status.INCOMPLETE, Status.ORPHANED]


@dataclass(frozen=True, slots=True)
class Row:
    """A run in the summary; the first four fields are the seed's columns."""

    status: Status
    status_code: int | None
    remote_output_path: str
    cmd: str
    name: str  # of its doit task
    reason: str


class SummarizeBatch(Command):
    """Show how every run stands."""

    name = "summarize-batch"
    doc_purpose = COMMANDS["summarize-batch"].purpose
    doc_usage = "[BATCH]"
    doc_description = (
        "BATCH is a batchfile, a run list or a chunk; without it, this folder's batchfile. Counts go to standard "
        "error, the rows to standard output."
    )
    cmd_options = (
        OPT_FILE,
        OPT_REMOTE,
        {
            "name": "format",
            "long": "format",
            "type": str,
            "default": "table",
            "help": f"one of {', '.join(FORMATS)} [default: %(default)s]",
        },
        {
            "name": "status",
            "long": "status",
            "type": str,
            "default": "",
            "help": "only runs of this status, or of several joined by commas; `orphaned` lists outputs whose run "
            "is no longer in the batch",
        },
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
        rows.sort(key=lambda row: _ORDER.index(row.status))
        counts = Counter(row.status for row in rows)
        print(", ".join(f"{counts[s]:,} {s}" for s in _ORDER if counts[s]) or "no runs", file=sys.stderr)
        _print(form, [row for row in rows if not statuses or row.status in statuses])
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


def summarize(project: Project, *, orphans: bool) -> Iterator[Row]:
    """Yield a row for every run, and for every orphaned output if asked."""
    ledger = project.ledger
    running = project.store.running()
    for stage, run in project.batch.runs():
        record, verdict = ledger.records.get(run.key), ledger.verdict(stage, run)
        live = run.key in running and verdict.execute
        yield Row(
            Status.RUNNING if live else verdict.status,
            record.code if record else None,
            project.output(run),
            run.cmd,
            stage.task_name(run),
            f"on {running[run.key].host} since {running[run.key].since}" if live else verdict.reason,
        )
    if orphans:
        known = {run.key for _, run in project.batch.runs()}
        for key in sorted(project.store.orphans(known)):
            output = f"{project.batch.remote_output_path}/{key}"
            yield Row(Status.ORPHANED, None, output, "", "", "its run is no longer in the batch")


def _print(form: str, rows: Sequence[Row]) -> None:
    if form == "json":
        fields = (*HEADERS, "name", "reason")
        json.dump([{name: getattr(row, name) for name in fields} for row in rows], sys.stdout, indent=1)
        print()
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow((*HEADERS, "name", "reason"))
        writer.writerows((*_cells(row), row.name, row.reason) for row in rows)
    else:
        print(table(HEADERS, (_cells(row) for row in rows)))


def _cells(row: Row) -> tuple[str, str, str, str]:
    code = "" if row.status_code is None else str(row.status_code)
    return row.status.value, code, row.remote_output_path, row.cmd


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as the seed's pages show it: columns four spaces apart, one line of dashes."""
    import tabulate  # noqa: PLC0415 - only for a table

    tabulate.MIN_PADDING = 0  # its way of letting a column be as narrow as its header
    form = tabulate.TableFormat(
        lineabove=None,
        linebelowheader=tabulate.Line("", "-", "-" * 4, ""),
        linebetweenrows=None,
        linebelow=None,
        headerrow=tabulate.DataRow("", " " * 4, ""),
        datarow=tabulate.DataRow("", " " * 4, ""),
        padding=0,
        with_header_hide=None,
    )
    cells = [[_visible(cell) for cell in row] for row in rows]
    return tabulate.tabulate(cells, headers, tablefmt=form, disable_numparse=True, stralign="left")


def _visible(text: str) -> str:
    """Keep a row on one line, whatever is in a command."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
