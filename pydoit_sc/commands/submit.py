"""`submit`: split, send the code, hand over to an engine, all in one; and wait, if asked."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from pydoit_sc.batch import Stage
from pydoit_sc.commands.base import (
    OPT_ALWAYS,
    OPT_MAX_FAILURES,
    OPT_MOVED,
    OPT_NO_HOOKS,
    OPT_RETRIES,
    OPT_TIMEOUT,
    Command,
)
from pydoit_sc.commands.parsing import flag, option
from pydoit_sc.commands.selecting import NAMES, SELECTING
from pydoit_sc.engines.registry import chosen_engine
from pydoit_sc.errors import UserError
from pydoit_sc.hooks import tell_end
from pydoit_sc.outcomes.counts import together
from pydoit_sc.project import Project
from pydoit_sc.selection import parse_selection, select_to_execute
from pydoit_sc.show.bars import make_bar
from pydoit_sc.submissions.choose import Wanted
from pydoit_sc.submissions.ended import Ended
from pydoit_sc.submissions.submit import Submitted, submit, wait
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project


class SubmitCommand(Command):
    """Hand a batch to an engine."""

    name = "submit"
    doc_usage = NAMES
    doc_description = (
        "Of this folder's batchfile, as the table of the engine says; with names these runs, and all that they come after. "
        "Completed runs are left out. A run that comes after others is in the same submission where the engine has an "
        "order; at Saturn Cloud and on Kubernetes it waits for a later one, which --wait makes, too.\n"
        "\n"
        "With --wait the exit code is 0 if all runs are completed, 1 if one failed or was cancelled, 2 if the job ended without "
        "executing some. Ctrl-C ends the waiting, not the job."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        option(
            "engine",
            "what executes the runs: local, slurm, dask, kubernetes, saturn, or one that another package brings "
            "[default: the one that has a table]",
            default="",
        ),
        flag("wait", "show how the runs go on, until all have ended"),
        OPT_ALWAYS,
        option(
            "nprocs",
            "in place of the batchfile's: runs at once on a machine, a number, cores or gpus; where the batchfile says "
            '"gpus", a number is the most of them, and each keeps its own GPU',
            short="n",
        ),
        OPT_TIMEOUT,
        OPT_RETRIES,
        OPT_MAX_FAILURES,
        OPT_MOVED,
        OPT_NO_HOOKS,
        flag("force", "also while another submission is under way, which may be executing the same runs"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Submit what is not up to date and return the exit code."""
        selection, always, failures = parse_selection(options, words), options["always"], True
        parts: Sequence[Stage] = ()
        ends: list[Ended] = []
        last = ""
        while True:
            project = open_project(options)
            project.execute_as(options)
            again = parts and selection
            parts = (
                _once_more(project, parts) if again else select_to_execute(project, selection, always=always)
            )
            submitted = submit(
                project,
                chosen_engine(project.batch, options["engine"]),
                parts,
                Wanted(completed=always, failures=failures),
                print,
                moved_too=options["moved"],
                force=options["force"],
                hooks=not (options["no_hooks"] or options["wait"]),
            )
            if submitted is None:
                break
            if not options["wait"]:
                return _tell_where(submitted, 0)
            last, ended = submitted.note.id, _wait(submitted)
            if isinstance(ended, int):
                return max(ended, _worst(ends))
            ends.append(ended)
            if ended.lost or ended.cancelled or not submitted.waiting:
                break
            always = failures = False  # what has waited is stale now, and what has failed is not tried again
        if ends and not options["no_hooks"]:
            tell_end(project.batch, together(one.counts for one in ends), _worst(ends), last)
        return _worst(ends)


def _worst(ends: Sequence[Ended]) -> int:
    return max((one.code for one in ends), default=0)


def _once_more(project: Project, parts: Sequence[Stage]) -> Sequence[Stage]:
    """Return the runs of the submission before: what they were selected by may hold no longer when some have ended."""
    keys = {run.key for stage in parts for run in stage.runs}
    return project.narrow([(stage, run) for stage, run in project.batch.runs() if run.key in keys])


def _wait(submitted: Submitted) -> Ended | int:
    """Wait until all runs have ended; return how, or the exit code where nobody waits any longer."""
    try:
        ended = wait(submitted, make_bar(sys.stdout, quiet=False))
    except KeyboardInterrupt:
        told = "; nobody is told of its end" * submitted.project.batch.has_hooks
        print(f"the job continues unwatched{told}")
        return _tell_where(submitted, 130)
    except UserError as error:
        print(f"ERROR: {error}\nthe job continues unwatched", file=sys.stderr)
        return _tell_where(submitted, 2)
    if ended.lost:
        print(f"ERROR: {ended.lost}", file=sys.stderr)
        _tell_where(submitted, ended.code)
    return ended


def _tell_where(submitted: Submitted, code: int) -> int:
    """Print how to look again, and return the exit code."""
    batch = shlex.join(submitted.project.batch.words)
    note = submitted.note
    hints = {
        "the status of the runs": f"pydoit-sc summarize-batch {batch}",
        "its progress": f"pydoit-sc submissions {batch}",
        **submitted.engine.hints(note.handed(submitted.project.batch)),
    }
    width = max(map(len, hints)) + 1
    for what, command in hints.items():
        print(f"{what + ':':{width}}  {command}")
    return code
