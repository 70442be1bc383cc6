"""`failures`: what has failed, by kind, from what the store has."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import format_options, parse_format
from pydoit_sc.commands.selecting import NAMES, SELECTING, chosen_of
from pydoit_sc.failing import failing
from pydoit_sc.outcomes.failed import READ
from pydoit_sc.outcomes.kinds import TAIL, Kind
from pydoit_sc.selection import among_options, parse_selection
from pydoit_sc.show.kinds import lines
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

SHOWN = 20  # kinds: they fit a screen
FORMATS = ("table", "json")


class FailuresCommand(Command):
    """Show what has failed, by kind."""

    name = "failures"
    doc_usage = NAMES
    doc_description = (
        "Failed runs are of one kind if they have the same status code and reason, and the same last line of stderr "
        "but for numbers, times, paths, URLs, addresses and ids. Indented lines, as of a stack, do not count. The line "
        "that is shown is that of the run named behind it; `logs --stderr RUN` shows all of its stderr. The command at the "
        "end executes the runs of the kind again; --group and its number mean these runs on every command. JSON has all "
        "kinds, and the names of all their runs.\n"
        "\n"
        f"The last {TAIL // 1024} kB of stderr are read, of at most {READ:,} failed runs. Ignored runs are left out.\n"
        "\n"
        "Exit code: 0."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        *format_options(FORMATS, "a list of kinds, with group, count, status_code, failure, stderr, runs"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the kinds; the exit code is 0, whatever has failed."""
        form = parse_format(options, FORMATS, self.given)
        project = open_project(options)
        selection = parse_selection(options, words)
        among = parse_selection(among_options(options), words)
        chosen = chosen_of(project, among) if among else list(project.batch.runs())
        found = failing(project, selection, chosen, scanned=among.of_outcomes)
        nothing = "" if found.kinds or selection.group is None else f"no run matches {selection.said}: "
        print(f"{nothing}{found.failed:,} of {len(chosen):,} runs have failed", file=sys.stderr)
        if found.failed > READ:
            print(
                f"stderr was read of the first {READ:,}; the others are counted by their status codes",
                file=sys.stderr,
            )
        if form == "json":
            print(json.dumps([_as_json(number, kind) for number, kind in found.kinds], indent=1))
        else:
            again = project.command("run", among.text)
            _print(found.kinds, again, shutil.get_terminal_size((120, 24)).columns)
        return 0


def _as_json(number: int, kind: Kind) -> dict[str, Any]:
    return {
        "group": number,
        "count": len(kind.tasks),
        "status_code": kind.code,
        "failure": kind.ended,
        "stderr": kind.line,
        "runs": kind.tasks,
    }


def _print(kinds: Sequence[tuple[int, Kind]], again: str, columns: int) -> None:
    shown = [(kind, f"{again} --group {number}") for number, kind in kinds[:SHOWN]]
    for line in lines(shown, columns):
        print(line)
    if len(kinds) > SHOWN:
        rest = sum(len(kind.tasks) for _, kind in kinds[SHOWN:])
        print(f"and {rest:,} more runs of {len(kinds) - SHOWN:,} kinds; `--json` has them")
