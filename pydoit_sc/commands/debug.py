"""`debug`: a run on the terminal, as a worker would start it, of which nothing is published."""

from __future__ import annotations

import os
import sys
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Run, Stage
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag, option
from pydoit_sc.commands.selecting import SELECTING, selected
from pydoit_sc.errors import printable
from pydoit_sc.ledger import Work
from pydoit_sc.numbers import whole_number
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.worker.foreground import prepare
from pydoit_sc.worker.process import become
from pydoit_sc.worker.results import Limits
from pydoit_sc.worker.slots import slots


class DebugCommand(Command):
    """Execute a run on the terminal."""

    name = "debug"
    doc_usage = "[BATCH] RUN"
    doc_description = (
        "It has the terminal: what it writes is shown, it can read what you type, and Ctrl-C reaches it. It starts in the "
        "batchfile's folder, with the environment, the shell and the rank that a worker gives it. Its results go to a new "
        "folder, which is kept; SATURN_RUN_REMOTE_OUTPUT_PATH names that folder, too. Nothing is published, and it need not "
        "be free: a worker may execute the same run. `timeout`, `memory` and `retries` are not heeded.\n"
        "\n"
        "Exit code: that of the command, or of the shell; 3 where nothing was started."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        option("rank", "the rank that it has [default: %(default)s]", default="0"),
        flag("shell", "not its command, but a shell with its environment in its folder: $SHELL"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Become the command."""
        project = open_project(options)
        stage, run = _one(selected(project, options, words), words)
        batch, task = project.batch, stage.task_name(run)
        nprocs, gpus = slots(batch.nprocs)
        limits = Limits(nprocs, gpus=gpus, scratch=batch.scratch)
        os.chdir(batch.folder)
        own = prepare(
            Work(task, run, project.output(run), ""), limits, whole_number("--rank", options["rank"], 0)
        )
        print(
            f"{task}, of which nothing is published; its results are in {own.results}",
            f"its command: {printable(run.cmd)}",
            sep="\n",
            file=sys.stderr,
            flush=True,
        )
        start = (os.environ.get("SHELL") or "/bin/sh",) if options["shell"] else own.words
        try:
            become(start, own.env)
        except OSError as error:
            raise InvalidCommand(f"debug: {task} cannot be started: {start[0]}: {error.strerror}") from error


def _one(chosen: list[tuple[Stage, Run]] | None, words: list[str]) -> tuple[Stage, Run]:
    """Return the one run that is selected."""
    if chosen and len(chosen) == 1:
        return chosen[0]
    found = f"{len(chosen):,}, of which --limit 1 takes the first" if chosen else " ".join(words) or "nothing"
    raise InvalidCommand(f"debug: expected the name of a run, found {found}")
