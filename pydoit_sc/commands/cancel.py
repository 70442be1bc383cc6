"""`cancel`: end a submission, or take runs out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Status
from pydoit_sc.batchfile.errors import did_you_mean
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.commands.selecting import SELECTING
from pydoit_sc.engines.base import EngineError
from pydoit_sc.engines.registry import engine_for
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.selection import Selection, parse_selection, select
from pydoit_sc.submissions.cancel import cancel
from pydoit_sc.submissions.notes import Note, ask, gone_words, mark_ended, read_notes, under_way
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.worker.control import EVERY, EVERY_REQUEST, cancel_runs


class CancelCommand(Command):
    """End a submission."""

    name = "cancel"
    doc_usage = "[BATCH] [SUBMISSION] [STAGE | RUN | PATTERN ...]"
    doc_description = (
        "Without its id, the one that is under way. Runs that are executing become incomplete, after their grace; what "
        "has ended stays.\n"
        "\n"
        "With names of runs, or options that say which: these alone, and the submission goes on with the others. "
        f"Workers look for that every {EVERY:g} s, at object stores every {EVERY_REQUEST:g} s, and "
        "when they start. A later submission executes these runs.\n"
        "\n"
        "A submission whose engine cannot be asked is under way until it can be. With --gone it counts as ended: its "
        "machine, cluster or job is gone for good."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        flag("gone", "end nothing, and mark a submission whose state nobody can know any more as ended"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """End its jobs."""
        project = open_project(options)
        notes = read_notes(project.store)
        note = None
        if words and (words[0] in {note.id for note in notes} or not any(project.matching(words[0]))):
            note = named_note("cancel", notes, words.pop(0))
        if note is None:
            found = [note for note in under_way(project.store, project.batch) if note.jobs and note.mine]
            if not found:
                print("no submission of yours is under way")
                return 0
            if len(found) > 1:
                ids = ", ".join(note.id for note in found)
                raise InvalidCommand(f"cancel: {len(found)} submissions are under way: say which one: {ids}")
            (note,) = found
        selection = parse_selection(options, words)
        if options["gone"]:
            return _mark_gone(project, note, selection)
        if selection:
            return _cancel_runs(project, note, selection)
        states = ask([note], project.batch)[note.id]
        try:
            engine = engine_for(project.batch, note.engine)
            cancel(project.store, engine, note, project.batch, is_under_way=states.under_way)
        except EngineError as error:
            if not states.doubts():
                raise
            raise EngineError(f"{error}; {gone_words(note, project.batch)}") from error
        if states.under_way:
            print(f"cancelled {note.id} ({note.engine}): what is executing ends within its grace")
        else:
            print(f"{note.id} ({note.engine}) has ended already")
        return 0


def _mark_gone(project: Project, note: Note, selection: Selection) -> int:
    if selection:
        raise InvalidCommand("cancel: --gone is for a submission as a whole, and takes no runs")
    states = ask([note], project.batch)[note.id]
    if states.known_under_way:
        raise InvalidCommand(
            f"cancel: {note.id} is not gone: {note.engine} says of its jobs {states.count()}; without --gone they are ended"
        )
    mark_ended(project.store, note)
    print(f"{note.id} ({note.engine}) counts as ended")
    return 0


def _cancel_runs(project: Project, note: Note, selection: Selection) -> int:
    chosen = select(project, selection)
    project.narrow(chosen)
    verdicts = ((run.key, project.ledger.verdict(stage, run).status) for stage, run in chosen)
    keys = [key for key, status in verdicts if status is not Status.COMPLETED]
    cancel_runs(project.store, note.id, keys)
    runs = counted(len(keys), "run")
    print(f"cancelled {runs} of {note.id} ({note.engine}): what is executing ends within its grace")
    return 0


def named_note(command: str, notes: Sequence[Note], id_: str) -> Note:
    """Return the submission of this user that a word of a command means."""
    for note in notes:
        if note.id == id_ and note.jobs:
            if not note.mine:
                raise InvalidCommand(
                    f"{command}: `{id_}` was submitted by another user, or others may write to its note: "
                    f"only its own user can {command} it"
                )
            return note
    known = [note.id for note in notes if note.jobs]
    raise InvalidCommand(f"{command}: there is no submission `{id_}`{did_you_mean(id_, known[-10:])}")
