"""`cancel`: end a submission."""

from __future__ import annotations

from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batchfile.errors import did_you_mean
from pydoit_sc.commands.base import Command
from pydoit_sc.engines.registry import engine_for
from pydoit_sc.submissions.notes import Note, read_notes, under_way
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project


class CancelCommand(Command):
    """End a submission."""

    name = "cancel"
    doc_usage = "[BATCH] [SUBMISSION]"
    doc_description = (
        "Without its id, the one that is under way. Runs that are executing become incomplete, after their grace; what "
        "has ended stays."
    )
    cmd_options = (*BATCH_OPTIONS,)

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """End its jobs."""
        project = open_project(options)
        store = project.store
        if words:
            note = named_note("cancel", read_notes(store), self.one(words, "the id of a submission"))
        else:
            found = [note for note in under_way(store, project.batch) if note.jobs and note.mine]
            if not found:
                print("no submission of yours is under way")
                return 0
            if len(found) > 1:
                ids = ", ".join(note.id for note in found)
                raise InvalidCommand(f"cancel: {len(found)} submissions are under way: say which one: {ids}")
            (note,) = found
        engine_for(project.batch, note.engine).cancel(note.handed(project.batch))
        print(f"cancelled {note.id} ({note.engine}): what is executing ends within its grace")
        return 0


def named_note(command: str, notes: list[Note], id_: str) -> Note:
    """Return the submission of this user that a word of a command means."""
    for note in notes:
        if note.id == id_ and note.jobs:
            if not note.mine:
                raise InvalidCommand(
                    f"{command}: {id_} was submitted by another user, who alone can {command} it"
                )
            return note
    known = [note.id for note in notes if note.jobs]
    raise InvalidCommand(f"{command}: there is no submission `{id_}`{did_you_mean(id_, known[-10:])}")
