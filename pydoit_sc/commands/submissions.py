"""`submissions`: list submissions and the state of their jobs."""

from __future__ import annotations

import time
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.engines.registry import load_engine
from pydoit_sc.project import Project
from pydoit_sc.show.tables import table
from pydoit_sc.submissions.notes import JobStates, Note, ask, outcomes, read_notes, write_note
from pydoit_sc.tasks.loader import OPT_FILE

HEADERS = ("submission", "engine", "by", "when", "runs", "completed", "failed", "jobs")
_SHOWN = 10


class SubmissionsCommand(Command):
    """List submissions."""

    name = "submissions"
    doc_usage = ""
    doc_description = (
        "Of this folder's batchfile, from its store, the latest last. A run counts for the submission that its outcome "
        "is of: not for one whose outcome a later one has replaced."
    )
    cmd_options = (
        OPT_FILE,
        flag("all", f"not the last {_SHOWN} only"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print a table."""
        self.each(words, "")
        project = Project.load(options["batchfile"])
        store = project.store
        notes = [note for note in read_notes(store) if note.jobs or note.being_made]
        if not notes:
            print("nothing has been submitted")
            return 0
        standing = ask([note for note in notes if note.jobs and not note.ended], load_engine)
        for note in notes:
            if note.id in standing and not standing[note.id].under_way:
                write_note(store, note.but(ended=True))
        shown = notes if options["all"] else notes[-_SHOWN:]
        done = outcomes(shown, project.ledger.records.values())
        print(table(HEADERS, [_row(note, standing.get(note.id), done[note.id]) for note in shown]))
        for note in shown:
            for line in _hindrances(standing.get(note.id)):
                print(f"{note.id}: {line}")
        if len(notes) > len(shown):
            print(f"{len(notes) - len(shown):,} earlier ones: --all")
        return 0


def _row(note: Note, standing: JobStates | None, done: tuple[int, int]) -> tuple[str, ...]:
    completed, failed = done
    return (
        note.id,
        note.engine,
        f"{note.user}@{note.host}",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(note.when)),
        f"{note.runs:,}",
        f"{completed:,}",
        f"{failed:,}",
        _jobs(note, standing),
    )


def _jobs(note: Note, standing: JobStates | None) -> str:
    if not note.jobs:
        return "being handed over"
    if standing is None:
        return "ended"
    if standing.unknown:
        return "unknown"
    return standing.count() or "ended"


def _hindrances(standing: JobStates | None) -> list[str]:
    if standing is None:
        return []
    held = [f"job {job} is held: {why}" for job, why in standing.held().items()]
    return [*held, *([standing.unknown] if standing.unknown else [])]
