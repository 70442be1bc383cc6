"""`failures`: what has failed, by kind, from what the store has."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import format_option, parse_choice
from pydoit_sc.errors import printable
from pydoit_sc.outcomes.kinds import TAIL, Failure, Kind, kinds_of
from pydoit_sc.store import Record, Store
from pydoit_sc.store.layout import STDERR
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

SHOWN = 20  # kinds: they fit a screen
READ = 2000  # failed runs whose stderr is read
FORMATS = ("table", "json")
_NARROWEST = 20  # characters of a line of stderr
_WIDEST = 60  # characters of how a run ended


class FailuresCommand(Command):
    """Show what has failed, by kind."""

    name = "failures"
    doc_usage = "[BATCH] [STAGE | RUN | PATTERN ...]"
    doc_description = (
        "Failed runs are of one kind if they have the same status code and reason, and the same last line of stderr "
        "but for numbers, times, paths, URLs, addresses and ids. Indented lines, as of a stack, do not count. The line "
        "that is shown is that of the run named behind it; `logs --stderr RUN` shows all of its stderr. JSON has all kinds, "
        "and the names of all their runs.\n"
        "\n"
        f"The last {TAIL // 1024} kB of stderr are read, of at most {READ:,} failed runs.\n"
        "\n"
        "Exit code: 0."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        format_option(FORMATS),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the kinds; the exit code is 0, whatever has failed."""
        form = parse_choice(options["format"], FORMATS, "--format")
        project = open_project(options)
        chosen = project.select(words) if words else list(project.batch.runs())
        names = {run.key: stage.task_name(run) for stage, run in chosen}
        found = project.store.scan(names)
        failed = {name: (key, found[key]) for key, name in names.items() if key in found and found[key].code}
        kinds = kinds_of(_read(project.store, failed))
        print(f"{len(failed):,} of {len(names):,} runs have failed", file=sys.stderr)
        if len(failed) > READ:
            print(
                f"stderr was read of the first {READ:,}; the others are counted by their status codes",
                file=sys.stderr,
            )
        if form == "json":
            print(json.dumps([_as_json(kind) for kind in kinds], indent=1))
        elif kinds:
            _print(kinds, shutil.get_terminal_size((120, 24)).columns)
        return 0


def _read(store: Store, failed: Mapping[str, tuple[str, Record]]) -> Iterator[Failure]:
    """Yield the failed runs, given their keys and records by name, with the ends of their stderr as far as they are read."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only where something has failed

    items = list(failed.items())
    with ThreadPoolExecutor(store.stagers) as threads:
        keys = (key for _, (key, _) in items[:READ])
        tails = threads.map(lambda key: store.tail(key, STDERR, TAIL), keys)
        for name, (_, record) in items:
            yield Failure(name, record.code, record.reason, next(tails, None))


def _as_json(kind: Kind) -> dict[str, Any]:
    return {
        "count": len(kind.tasks),
        "status_code": kind.code,
        "failure": kind.ended,
        "stderr": kind.line,
        "runs": kind.tasks,
    }


def _print(kinds: Sequence[Kind], columns: int) -> None:
    shown = kinds[:SHOWN]
    rows = [
        (f"{len(kind.tasks):,}", _cut(kind.ended, _WIDEST), _line(kind), printable(kind.tasks[0]))
        for kind in shown
    ]
    counts, ended, lines, names = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = min(
        lines, max(_NARROWEST, columns - counts - ended - names - len(" × ") - 2 * len("  ") - len("e.g. "))
    )
    for count, how, line, name in rows:
        print(f"{count:>{counts}} × {how:{ended}}  {_cut(line, lines):{lines}}  e.g. {name}")
    if len(kinds) > SHOWN:
        rest = sum(len(kind.tasks) for kind in kinds[SHOWN:])
        print(f"and {rest:,} more runs of {len(kinds) - SHOWN:,} kinds; `--format json` has them")


def _line(kind: Kind) -> str:
    return "(stderr not read)" if kind.line is None else printable(kind.line) or "(nothing on stderr)"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
