"""`scale`, `pause`, `resume`: orders for workers that execute now, here and elsewhere, by the store."""

from __future__ import annotations

import sys
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import MOST_AT_ONCE
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.cancel import named_note
from pydoit_sc.numbers import whole_number
from pydoit_sc.submissions.notes import read_notes, under_way
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.worker.control import EVERY, EVERY_REQUEST, give_order

_WHO = (
    "The order is for your workers of this batch: those of `pydoit-sc run` on any machine, and those of your submissions "
    "that are under way, later ones of these too; with the id of a submission for its workers alone. Workers look for it in "
    f"the store every {EVERY:g} s, at object stores every {EVERY_REQUEST:g} s. What executes goes on to its end."
)


class _OrderCommand(Command):
    """An order for workers."""

    cmd_options = (*BATCH_OPTIONS,)

    def give(
        self, options: dict[str, Any], words: list[str], said: str, *, idle: str = "", **order: Any
    ) -> int:
        """Give the order to the workers that the words mean, and say so; `idle` where no worker says that it executes anything."""
        project = open_project(options)
        store = project.store
        if words:
            notes = [
                named_note(self.get_name(), read_notes(store), self.one(words, "the id of a submission"))
            ]
        else:
            notes = [note for note in under_way(store, project.batch) if note.jobs and note.mine]
            give_order(store, "", **order)
        for note in notes:
            give_order(store, note.id, **order)
        if idle and not (words or notes or store.running()):
            print(idle, file=sys.stderr)
        who = [*(() if words else ("`pydoit-sc run`",)), *(f"{note.id} ({note.engine})" for note in notes)]
        print(f"{said}: {', '.join(who)}")
        return 0


class ScaleCommand(_OrderCommand):
    """Change how many runs workers execute at once."""

    name = "scale"
    doc_usage = "[BATCH] N [SUBMISSION]"
    doc_description = (
        f'Each worker executes N runs at once from then on, {MOST_AT_ONCE:,} at most; with `nprocs` = "gpus" never more than it has '
        f"GPUs. A run that holds more `slots` than that waits until it is alone. {_WHO}"
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Give the order."""
        if not words:
            raise InvalidCommand("scale: expected how many runs at once, found nothing")
        nprocs = whole_number("scale", words[0], most=MOST_AT_ONCE)
        return self.give(options, words[1:], f"{nprocs:,} at once", nprocs=nprocs)


class PauseCommand(_OrderCommand):
    """Start no further runs."""

    name = "pause"
    doc_usage = "[BATCH] [SUBMISSION]"
    doc_description = f"A paused worker stays, and so do its machine and its time limit. {_WHO}"

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Give the order."""
        idle = "no worker says that it executes anything now: a `run` that starts later is not paused"
        return self.give(options, words, "paused", idle=idle, paused=True)


class ResumeCommand(_OrderCommand):
    """End a pause."""

    name = "resume"
    doc_usage = "[BATCH] [SUBMISSION]"
    doc_description = f"Runs start again. {_WHO}"

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Give the order."""
        return self.give(options, words, "resumed", paused=False)
