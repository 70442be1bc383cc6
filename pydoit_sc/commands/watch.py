"""Watch a batch: look at the store again and again, and draw how it stands."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Run, Stage, Status
from pydoit_sc.commands.parsing import flag
from pydoit_sc.parts import without_earlier
from pydoit_sc.project import Project
from pydoit_sc.show.bars import encodes, is_moving
from pydoit_sc.show.footer import Footer
from pydoit_sc.show.live import View, figures, picture
from pydoit_sc.standing import goes_on, stand_all
from pydoit_sc.store import StoreError
from pydoit_sc.times import local

#: Seconds between two looks at least, at a file system and at an object store.
EVERY, EVERY_REQUESTS = 1.0, 5.0
PAUSE = 5  # times as long as a look takes is waited before the next
_TOTAL = "total"

OPT_WATCH = flag(
    "watch", "show it again and again, with what executes now, until no run executes or may yet execute"
)


def is_watched(options: dict[str, Any], form: str) -> bool:
    """Return whether that is asked for; raises InvalidCommand for a format that is no picture."""
    if options["watch"] and form != "table":
        raise InvalidCommand(f"--watch: shows a picture, not {form}")
    return bool(options["watch"])


def watch(project: Project, chosen: Sequence[tuple[Stage, Run]] | None) -> int:
    """Draw how these runs stand, all if None, as long as that may change; on a terminal as a picture, elsewhere a line at each change."""
    moving = is_moving(sys.stdout)
    footer, graphic = Footer(sys.stdout), encodes(sys.stdout, "█░▁")
    said, lines = "", list[str]()
    try:
        for view in _views(project, chosen):
            if moving:
                columns, rows = footer.size()
                lines = picture(view, columns - 1, rows - 1, graphic=graphic)
                footer.draw(lines)
            else:
                words = view.error or figures(view.standings[_TOTAL])
                if words != said:
                    said = words
                    print(f"{local(view.now)}  {said}", flush=True)
    finally:
        footer.clear()
        print("\n".join(lines), end="\n" if lines else "")
    if any(view.standings[_TOTAL].statuses[status] for status in (Status.INCOMPLETE, Status.STALE)):
        print("nothing executes, and what is left waits for runs that have failed")
    return 0


def _views(project: Project, chosen: Sequence[tuple[Stage, Run]] | None) -> Iterator[View]:
    """Yield how the runs stand, at a rate that leaves the store alone most of the time, as long as that may change."""
    every = EVERY_REQUESTS if project.store.takes_requests else EVERY
    view: View | None = None
    while True:
        began = time.monotonic()
        try:
            view = _look(project, chosen)
        except StoreError as error:
            if view is None:
                raise
            view = replace(view, error=str(error))
        yield view
        if not view.goes_on:
            return
        time.sleep(max(every, PAUSE * (time.monotonic() - began)))


def _look(project: Project, chosen: Sequence[tuple[Stage, Run]] | None) -> View:
    """Return how the runs stand now; raises StoreError."""
    running = project.store.running()  # before the scan: what ends in between is completed
    project.glance(chosen)
    stages = project.batch.stages if chosen is None else without_earlier(project.batch, chosen)
    ledger = project.ledger
    live = [
        (stage.task_name(run), running[run.key])
        for stage in stages
        for run in (stage.runs if running else ())
        if run.key in running and ledger.verdict(stage, run, running[run.key]).status is Status.RUNNING
    ]
    standings, whole = stand_all(ledger, stages, running)
    ended = [
        record.ended
        for stage in stages
        for run in stage.runs
        if (record := ledger.records.get(run.key)) and record.ended
    ]
    return View(
        {**standings, _TOTAL: whole}, live, ended, time.time(), goes_on=goes_on(ledger, stages, running)
    )
