"""`logs`: show what a run has written, or follow it while it executes."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Any, BinaryIO

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Run
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.errors import reason
from pydoit_sc.files import open_regular
from pydoit_sc.project import Project
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

PAUSE = 0.2  # seconds between two looks at a file that is being written


class LogsCommand(Command):
    """Show a run's stdout and stderr."""

    name = "logs"
    doc_usage = "[BATCH] RUN"
    doc_description = "The run's stdout goes to standard output, its stderr to standard error, byte for byte."
    cmd_options = (
        *BATCH_OPTIONS,
        flag("stdout", "its stdout only"),
        flag("stderr", "its stderr only"),
        flag("follow", "of a run that is executing: show what it writes, until it ends"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Copy the files; the exit code is 0, or 3 where the run has written nothing yet."""
        project = open_project(options)
        chosen = project.select([self.one(words, "the name of a run")])
        if len(chosen) != 1:
            raise InvalidCommand(f"logs: `{words[0]}` is {len(chosen):,} runs; expected one")
        run = chosen[0][1]
        both = options["stdout"] == options["stderr"]
        files = [
            (name, stream)
            for name, stream, wanted in (
                (STDOUT, sys.stdout.buffer, options["stdout"]),
                (STDERR, sys.stderr.buffer, options["stderr"]),
            )
            if both or wanted
        ]
        if options["follow"] and _follow(project, run, files):
            return 0
        shown = [_copy(project, run, name, stream) for name, stream in files]
        if not any(shown):
            raise InvalidCommand(f"logs: `{words[0]}` has no output in {project.output(run)}")
        return 0


def _copy(project: Project, run: Run, name: str, stream: BinaryIO) -> bool:
    try:
        with project.store.open(run.key, name) as file:
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
