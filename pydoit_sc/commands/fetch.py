"""`fetch`: bring the outputs of runs from the store to a folder."""

from __future__ import annotations

import os
import sys
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import OURS
from pydoit_sc.commands.base import OPT_QUIET, Command
from pydoit_sc.commands.parsing import option
from pydoit_sc.commands.selecting import NAMES, SELECTING, selected
from pydoit_sc.errors import UserError, on_a_line
from pydoit_sc.origins import is_among_outputs
from pydoit_sc.outcomes.fetching import Fetcher
from pydoit_sc.show.bars import make_bar
from pydoit_sc.show.fetching import FetchProgress
from pydoit_sc.tasks.loader import BATCH_OPTIONS_BESIDE_TO, open_project

_SOME_LEFT = 2  # the exit code


class FetchCommand(Command):
    """Bring outputs to a folder."""

    name = "fetch"
    doc_usage = f"{NAMES} --to DIR"
    doc_description = (
        "stdout, stderr, results, run.json and status_code of each run that has an outcome, to DIR/STAGE/RUN. Without a name: "
        "of the whole batch. Several files come at once, and each is compared with its digest in run.json before it gets its "
        "name. What is there already and has that digest is not fetched again, so the same command goes on where it was stopped. "
        "status_code comes last: a folder with one is whole.\n"
        "\n"
        "A file without a digest there (an output of `sc`, or more than 1 GB) is compared by its size. What a link in the "
        "results leads to is fetched where it is of the same run; other links are left out.\n"
        "\n"
        "A list of commands needs --remote-output-path, which is called --to elsewhere. A stage named `fetch` is reached by "
        "`run fetch`.\n"
        "\n"
        "Exit code: 0, 2 where a file could not be had."
    )
    cmd_options = (
        *BATCH_OPTIONS_BESIDE_TO,
        *SELECTING,
        option(
            "into",
            "the folder to write to; it is made if it is missing",
            long="to",
            metavar="DIR",
            default="",
        ),
        OPT_QUIET,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Fetch the outputs, and return the exit code."""
        folder = _folder(options["into"])
        project = open_project(options)
        if is_among_outputs(folder, project.batch):
            raise InvalidCommand(f"--to: `{folder}` is where the batch has its outputs; name another folder")
        chosen = selected(project, options, words)
        if chosen == []:
            return 0
        names = {run.key: stage.task_name(run) for stage, run in chosen or project.batch.runs()}
        store = project.store
        fetcher = Fetcher(store, folder)
        progress = FetchProgress(lambda: fetcher.bytes)
        bar = make_bar(sys.stderr, quiet=options["quiet"])
        unread: dict[str, str] = {}
        documents = list(store.documents(names, unread.__setitem__))
        progress.begin(len(documents) + len(unread), 0)
        progress.failed += len(unread)
        for key, why in unread.items():
            bar.line(on_a_line(f"{names[key]}: {why}"))
        by_size, why = 0, ""
        try:
            for one in fetcher.fetch(documents, store.stagers, lambda: bar.update(progress)):
                progress.done += not one.wrong
                progress.failed += bool(one.wrong)
                progress.skipped += not (one.files or one.wrong)
                by_size += one.by_size
                for what in (*one.wrong, *one.left_out):
                    bar.line(on_a_line(f"{names[one.key]}: {what}"))
        except UserError as error:  # the disk is full, or the store is gone
            if not fetcher.bytes:
                raise
            why = str(error)
        bar.close(progress)
        if why:
            print(f"ERROR: {why}", file=sys.stderr)
            return _SOME_LEFT
        if by_size:
            print(f"{by_size:,} files have no digest, and were compared by size alone", file=sys.stderr)
        if missing := len(names) - len(documents) - len(unread):
            print(f"{missing:,} of {len(names):,} runs have no outcome", file=sys.stderr)
        return _SOME_LEFT if progress.failed else 0


def _folder(path: str) -> str:
    """Return the folder that is written to; raises InvalidCommand for what is none."""
    if not path:
        raise InvalidCommand("fetch: expected --to DIR, the folder to write to")
    if "://" in path:
        hint = "where the outputs are is said by --remote-output-path"
        raise InvalidCommand(f"--to: expected a folder of this machine, found `{path}`; {hint}")
    if os.path.lexists(os.path.join(path, OURS)):
        raise InvalidCommand(f"--to: `{path}` is where a batch has its own outputs; name another folder")
    return os.path.abspath(path)
