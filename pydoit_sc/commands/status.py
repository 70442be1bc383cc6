"""`status`: how the batch stands, a line a stage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import format_options, parse_format
from pydoit_sc.commands.selecting import NAMES, SELECTING, selected
from pydoit_sc.commands.watch import OPT_WATCH, is_watched, watch
from pydoit_sc.selection import parse_selection
from pydoit_sc.show.standings import WORDS, lines
from pydoit_sc.standing import Standing, stand_all
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

FORMATS = ("table", "json")
_TOTAL = "total"
_SHAPE = (
    "`stages`, a list with stage, runs, completed, failed, stale, incomplete, running, ignored, hosts, runs_per_second, "
    "seconds_left, and `total`, the same without stage"
)
_UNBOUNDED = 1 << 20  # columns, where there is no terminal


class StatusCommand(Command):
    """Show how each stage stands."""

    name = "status"
    doc_usage = NAMES
    doc_description = (
        "A line for each stage, then the total, from what the store has; nothing is executed. With names: these runs "
        "alone. Where runs execute now, on any machine, their hosts are shown. The pace is how many execute at once, by "
        "the time that completed ones took; the time left is that of all that are incomplete, stale or running, not of "
        "those that have failed. With `--watch` a picture: a bar for each stage, when the last runs have ended, and what "
        "executes now, on which machine, with which rank and for how long. It is drawn again every second, every 5 s from an "
        "object store, and more seldom where a look takes long. `summarize-batch` lists the runs, `plan` says what would execute.\n"
        "\n"
        "A stage named `status` is reached by `run status`."
    )
    cmd_options = (*BATCH_OPTIONS, *SELECTING, *format_options(FORMATS, _SHAPE), OPT_WATCH)

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print how the runs stand; the exit code is 0, whatever their codes."""
        form = parse_format(options, FORMATS, self.given)
        project = open_project(options)
        project.needs_verdicts_only = not parse_selection(options, words).of_outcomes
        if is_watched(options, form):
            return watch(project, selected(project, options, words))
        running = project.store.running()  # before the scan: what ends in between is completed
        stages = project.stages_of(selected(project, options, words))
        standings, whole = stand_all(project.ledger, stages, running)
        if form == "json":
            listed = [{"stage": name, **_figures(one)} for name, one in standings.items()]
            print(json.dumps({"stages": listed, _TOTAL: _figures(whole)}, indent=2))
        else:
            width = shutil.get_terminal_size((_UNBOUNDED, 0)).columns
            print("\n".join(lines([*standings.items(), (_TOTAL, whole)], width)))
        return 0


def _figures(standing: Standing) -> Mapping[str, object]:
    """Return what JSON says."""
    return {
        "runs": standing.size,
        **{word: standing.statuses[status] for status, word in WORDS.items()},
        "ignored": standing.ignored,
        "hosts": standing.hosts,
        "runs_per_second": standing.pace,
        "seconds_left": standing.seconds_left,
    }
