"""`status`: how the batch stands, a line a stage."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydoit_sc.batch import Status
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import format_option, parse_choice
from pydoit_sc.commands.selecting import NAMES, SELECTING, selected
from pydoit_sc.commands.watch import OPT_WATCH, is_watched, watch
from pydoit_sc.parts import without_earlier
from pydoit_sc.show.tables import one_line
from pydoit_sc.standing import Standing, stand, total
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.times import clock, pace

FORMATS = ("table", "json")
#: The words for statuses, in the order of a line.
_WORDS = {
    Status.COMPLETED: "completed",
    Status.ERROR: "failed",
    Status.STALE: "stale",
    Status.INCOMPLETE: "incomplete",
    Status.RUNNING: "running",
}
_TOTAL = "total"
_COLUMN = 24  # characters of the column of names; longer names move their line
_HOSTS = 3  # that are named
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
    cmd_options = (*BATCH_OPTIONS, *SELECTING, format_option(FORMATS), OPT_WATCH)

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print how the runs stand; the exit code is 0, whatever their codes."""
        form = parse_choice(options["format"], FORMATS, "--format")
        project = open_project(options)
        if is_watched(options):
            return watch(project, selected(project, options, words))
        running = project.store.running()  # before the scan: what ends in between is completed
        stages = project.batch.stages
        if (chosen := selected(project, options, words)) is not None:
            project.narrow(chosen)
            stages = tuple(without_earlier(project.batch, chosen))
        standings = {stage.name: stand(project.ledger, stage, running) for stage in stages}
        whole = total(standings.values())
        if form == "json":
            listed = [{"stage": name, **_figures(one)} for name, one in standings.items()]
            print(json.dumps({"stages": listed, _TOTAL: _figures(whole)}, indent=2))
        else:
            width = shutil.get_terminal_size((_UNBOUNDED, 0)).columns
            print("\n".join(_lines([*standings.items(), (_TOTAL, whole)], width)))
        return 0


def _figures(standing: Standing) -> Mapping[str, object]:
    """Return what JSON says."""
    return {
        "runs": standing.size,
        **{word: standing.statuses[status] for status, word in _WORDS.items()},
        "ignored": standing.ignored,
        "hosts": standing.hosts,
        "runs_per_second": standing.pace,
        "seconds_left": standing.seconds_left,
    }


def _lines(standings: list[tuple[str, Standing]], width: int) -> Iterator[str]:
    """Yield a line for each, in so many columns: the rest of a longer one is indented below it."""
    column = min(_COLUMN, width // 3, max(len(name) for name, _ in standings))
    for name, standing in standings:
        yield from textwrap.wrap(
            _words(standing),
            width,
            initial_indent=f"{name:{column}}  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _words(standing: Standing) -> str:
    counts = {word: standing.statuses[status] for status, word in _WORDS.items()}
    counts["ignored"] = standing.ignored
    shown = [f"{count:,} {word}" for word, count in counts.items() if count and word != "running"]
    shown += _running(standing.hosts)
    text = f"{standing.size:,} run{'s' * (standing.size != 1)}" + (": " if shown else "") + ", ".join(shown)
    if standing.pace and standing.seconds_left is not None:
        text += f"; about {pace(standing.pace)}, {clock(standing.seconds_left)} left"
    return text


def _running(hosts: Counter[str]) -> Iterator[str]:
    """Yield `2 running on node3`, for each of the hosts that run the most."""
    for host, count in hosts.most_common(_HOSTS):
        yield f"{count:,} running on {one_line(host)}"
    others = sum(count for _, count in hosts.most_common()[_HOSTS:])
    if others:
        yield f"{others:,} running on {len(hosts) - _HOSTS:,} more"
