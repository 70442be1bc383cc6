"""`logs`: show what a run has written, or follow it while it executes."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Any, BinaryIO

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Run
from pydoit_sc.commands.base import OPT_ATTEMPT, Command
from pydoit_sc.commands.parsing import flag, parse_count
from pydoit_sc.errors import reason
from pydoit_sc.files import open_regular
from pydoit_sc.outcomes.history import attempt_at
from pydoit_sc.project import Project
from pydoit_sc.store import Outputs
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

PAUSE = 0.2  # seconds between two looks at a file that is being written


class LogsCommand(Command):
    """Show a run's stdout and stderr."""

    name = "logs"
    doc_usage = "[BATCH] RUN"
    doc_description = (
        "The run's stdout goes to standard output, its stderr to standard error, byte for byte. `history RUN` counts its "
        "attempts; without `--attempt`, it is the last that was published."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        flag("stdout", "its stdout only"),
        flag("stderr", "its stderr only"),
        flag("follow", "of a run that is executing: show what it writes, until it ends"),
        OPT_ATTEMPT,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Copy the files; the exit code is 0, or 3 where the run has written nothing yet."""
        number = parse_count(options["attempt"], "--attempt")
        project = open_project(options)
        _, run = self.one_run(project, words)
        both = options["stdout"] == options["stderr"]
        files = [
            (name, stream)
            for name, stream, wanted in (
                (STDOUT, sys.stdout.buffer, options["stdout"]),
                (STDERR, sys.stderr.buffer, options["stderr"]),
            )
            if both or wanted
        ]
        if number is None and options["follow"] and _follow(project, run, files):
            return 0
        key = attempt_at(project.store, run.key, number)
        shown = [_copy(project.store, key, name, stream) for name, stream in files]
        if not any(shown):
            raise InvalidCommand(f"logs: `{words[0]}` has no output in {project.store.url}/{key}")
        return 0


def _copy(store: Outputs, key: str, name: str, stream: BinaryIO) -> bool:
    try:
        with store.open(key, name) as file:
            _pass_on(file, stream)
    except FileNotFoundError:
        return False
    return True


def _pass_on(file: BinaryIO, stream: BinaryIO) -> None:
    while block := file.read(1 << 20):
        stream.write(block)
    stream.flush()


def _follow(project: Project, run: Run, files: list[tuple[str, BinaryIO]]) -> bool:
    """Show the files of the attempt that is executing, until it ends; False if none is."""
    live = project.store.running().get(run.key)
    if live is None:
        return False
    with ExitStack() as opened:
        try:
            sources = [
                (opened.enter_context(open_regular(f"{live.folder}/{name}")), stream)
                for name, stream in files
            ]
        except OSError as error:
            raise InvalidCommand(f"logs: it is executing on {live.host}: {reason(error)}") from error
        going = True
        while going:
            now = project.store.running().get(run.key)
            going = now is not None and now.folder == live.folder
            for source, stream in sources:
                _pass_on(source, stream)
            if going:
                time.sleep(PAUSE)
    return True
