"""`history`: the attempts at a run, from what the store has."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import format_options, parse_format
from pydoit_sc.commands.selecting import OR_OPTIONS, SELECTING, SOME_NAMES, selected
from pydoit_sc.ends import briefly
from pydoit_sc.outcomes.history import attempts_at
from pydoit_sc.show.tables import table
from pydoit_sc.sidebyside import side_by_side
from pydoit_sc.sizes import show_size
from pydoit_sc.store import Live, Record
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.times import local, span, utc
from pydoit_sc.verdicts import is_executing

FORMATS = ("table", "json")
_HEADERS = ("run", "attempt", "started", "took", "ended", "memory", "host", "submission")
_NAMED = 5  # runs without an attempt
_RIGHT = ("attempt", "took", "memory")

Row = Mapping[str, object]


class HistoryCommand(Command):
    """Show the attempts at a run."""

    name = "history"
    doc_usage = SOME_NAMES
    doc_description = (
        "The first attempt is 1; `logs --attempt 1 RUN` shows what it has written. An outcome is kept when it is "
        "replaced or forgotten, until `clean` removes it. Of attempts that a worker has retried, the ends of stdout and "
        "stderr are kept. Attempts whose worker was stopped or killed have no outcome, and are not listed.\n"
        "\n"
        f"{OR_OPTIONS}\n"
        "\n"
        "Exit code: 0."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        *format_options(
            FORMATS,
            "a list of attempts, with run, attempt, id, started, finished, seconds, status_code, reason, memory, host, submission",
        ),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the attempts; the exit code is 0, however they have ended."""
        form = parse_format(options, FORMATS, self.given)
        project = open_project(options)
        chosen = selected(project, options, words)
        if chosen is None:
            raise InvalidCommand(f"history: expected the name of a run; see `{self.bin_name} help history`")
        running = project.store.running()
        make = _as_json if form == "json" else _cells
        rows: list[Row] = []
        keys = (run.key for _, run in chosen)
        found = side_by_side(partial(attempts_at, project.store), keys, project.store.stagers)
        for (stage, run), attempts in zip(chosen, found, strict=True):
            known = [past.record for past in attempts]
            live = running.get(run.key)
            is_new = all(is_executing(live, record) for record in known)
            rows += make(stage.task_name(run), known, live if is_new else None)
        if form == "json":
            print(json.dumps(rows, indent=1))
        elif rows:
            headers = _HEADERS if len(chosen) > 1 else _HEADERS[1:]
            print(table(headers, ([row[name] for name in headers] for row in rows), right=_RIGHT))
        elif chosen:
            names = ", ".join(stage.task_name(run) for stage, run in chosen[:_NAMED])
            more = f" and {len(chosen) - _NAMED:,} more" if len(chosen) > _NAMED else ""
            print(f"no attempt has ended: {names}{more}", file=sys.stderr)
        return 0


def _cells(name: str, known: list[Record], live: Live | None) -> Iterator[Row]:
    """Yield what a person reads of each attempt at a run."""
    for number, record in enumerate(known, 1):
        yield {
            "run": name,
            "attempt": number,
            "started": local(record.started) if record.started else None,
            "took": span(record.seconds) if record.started else None,
            "ended": "completed" if record.code == 0 else briefly(record.code, record.reason),
            "memory": show_size(record.memory) if record.memory else None,
            "host": record.host,
            "submission": record.submission,
        }
    if live:
        now = {"run": name, "attempt": len(known) + 1, "started": local(live.since), "host": live.host}
        yield {**dict.fromkeys(_HEADERS), **now, "ended": "running"}


def _as_json(name: str, known: list[Record], live: Live | None) -> Iterator[Row]:
    """Yield what JSON says of each attempt at a run."""
    for number, record in enumerate(known, 1):
        yield {
            "run": name,
            "attempt": number,
            "id": record.attempt or None,
            "started": utc(record.started or None),
            "finished": utc(record.ended or None),
            "seconds": record.seconds if record.started else None,
            "status_code": record.code,
            "reason": record.reason or None,
            "memory": record.memory or None,
            "host": record.host or None,
            "submission": record.submission or None,
        }
    if live:
        yield {"run": name, "attempt": len(known) + 1, "started": utc(live.since), "host": live.host}
