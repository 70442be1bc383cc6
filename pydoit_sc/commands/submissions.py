"""`submissions`: list submissions and the state of their jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag, json_option
from pydoit_sc.show.tables import table
from pydoit_sc.store import NoteStore
from pydoit_sc.submissions.notes import JobStates, Note, ask, has_ended, mark_ended, outcomes, read_notes
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.times import utc
from pydoit_sc.worker.control import is_paused

HEADERS = ("submission", "engine", "by", "when", "runs", "completed", "failed", "jobs")
_SHOWN = 10


class SubmissionsCommand(Command):
    """List submissions."""

    name = "submissions"
    doc_usage = "[BATCH]"
    doc_description = (
        "Of this folder's batchfile, from its store, the latest last. A run counts for the submission that its outcome "
        "is of: not for one whose outcome a later one has replaced."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        flag("all", f"not the last {_SHOWN} only"),
        json_option(
            "a list of all, with submission, engine, user, host, when, runs, completed, failed, jobs, and hindrances, a list "
            "of why its runs do not go on"
        ),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print a table."""
        self.each(words, "")
        project = open_project(options)
        store = project.store
        notes = [note for note in read_notes(store) if note.jobs or note.being_made]
        if not notes:
            print("[]" if options["as_json"] else "nothing has been submitted")
            return 0
        states = ask([note for note in notes if note.jobs and not note.ended], project.batch)
        done = outcomes(notes, project.ledger.records.values())
        for note in notes:
            if note.id in states and has_ended(note, states[note.id], done[note.id]):
                del states[note.id]
                mark_ended(store, note)
        shown = notes if options["all"] or options["as_json"] else notes[-_SHOWN:]
        if options["as_json"]:
            found = [_as_json(store, note, states.get(note.id), done[note.id]) for note in shown]
            print(json.dumps(found, indent=1))
            return 0
        rows = [_row(note, states.get(note.id), done[note.id]) for note in shown]
        print(table(HEADERS, rows, right=("runs", "completed", "failed")))
        for note in shown:
            for line in _hindrances(store, note, states.get(note.id)):
                print(f"{note.id}: {line}")
        if len(notes) > len(shown):
            print(f"{len(notes) - len(shown):,} earlier ones: --all")
        return 0


def _row(note: Note, states: JobStates | None, done: tuple[int, int]) -> tuple[str, ...]:
    completed, failed = done
    return (
        note.id,
        note.engine,
        f"{note.user}@{note.host}",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(note.when)),
        f"{note.runs:,}",
        f"{completed:,}",
        f"{failed:,}",
        _jobs(note, states),
    )


def _as_json(
    store: NoteStore, note: Note, states: JobStates | None, done: tuple[int, int]
) -> Mapping[str, object]:
    completed, failed = done
    return {
        "submission": note.id,
        "engine": note.engine,
        "user": note.user,
        "host": note.host,
        "when": utc(note.when),
        "runs": note.runs,
        "completed": completed,
        "failed": failed,
        "jobs": _jobs(note, states),
        "hindrances": [*_hindrances(store, note, states)],
    }


def _jobs(note: Note, states: JobStates | None) -> str:
    if not note.jobs:
        return "being handed over"
    if states is None:
        return "ended"
    if states.unknown:
        return "unknown"
    return states.count() or "ended"


def _hindrances(store: NoteStore, note: Note, states: JobStates | None) -> Iterator[str]:
    """Yield why a submission's runs do not go on."""
    if states is None or not states.under_way:
        return
    if is_paused(store, note.id):
        yield "paused: no further run starts; `pydoit-sc resume` ends that"
    for job, why in states.held().items():
        yield f"job {job} is held: {why}"
    for why in states.doubts():
        yield f"the state of its jobs is not known: {why}"
