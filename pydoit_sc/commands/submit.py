"""`submit`: split, send the code, hand over to an engine, all in one; and wait, if asked."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Stage, Status
from pydoit_sc.batchfile import BatchfileError
from pydoit_sc.commands.base import OPT_ALWAYS, OPT_MAX_FAILURES, OPT_MOVED, OPT_RETRIES, OPT_TIMEOUT, Command
from pydoit_sc.commands.parsing import flag, option
from pydoit_sc.commands.selecting import NAMES, SELECTING
from pydoit_sc.engines.base import Engine
from pydoit_sc.engines.registry import engine_names, engine_of, load_engine
from pydoit_sc.errors import UserError
from pydoit_sc.outcomes.failures import Failures
from pydoit_sc.plan import failure_budget, moved
from pydoit_sc.project import Project
from pydoit_sc.selection import parse_selection, select_to_execute
from pydoit_sc.show.bars import make_bar
from pydoit_sc.show.progress import counted, moved_words
from pydoit_sc.store import StoreError
from pydoit_sc.submissions.choose import Wanted, choose, left_words
from pydoit_sc.submissions.draft import make_draft, shape_of
from pydoit_sc.submissions.handover import hand_over
from pydoit_sc.submissions.notes import Note
from pydoit_sc.submissions.watch import Jobs, Runs, Watch
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
        "With --wait the exit code is 0 if all runs are completed, 1 if one failed, 2 if the job ended without "
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
            "in place of the batchfile's: runs at once on a machine, a number, cores or gpus",
            short="n",
        ),
        OPT_TIMEOUT,
        OPT_RETRIES,
        OPT_MAX_FAILURES,
        OPT_MOVED,
        flag("force", "also while another submission is under way, which may be executing the same runs"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Submit what is not up to date and return the exit code."""
        selection, always, failures, worst = parse_selection(options, words), options["always"], True, 0
        parts: Sequence[Stage] = ()
        while True:
            project = open_project(options)
            project.execute_as(options)
            engine = _engine(project, options["engine"])
            again = parts and selection
            parts = (
                _once_more(project, parts) if again else select_to_execute(project, selection, always=always)
            )
            if not options["moved"] and (strange := moved(project.ledger, parts)):
                raise UserError(f"{moved_words(strange)}, or submit them with --moved")
            wanted = Wanted(completed=always, failures=failures)
            submitted = _submit(project, engine, parts, wanted, force=options["force"])
            if submitted is None:
                return worst
            if not options["wait"]:
                return _tell_where(submitted, 0)
            code, goes_on = _wait(submitted)
            worst = max(worst, code)
            if not (goes_on and submitted.waiting):
                return worst
            always = failures = False  # what has waited is stale now, and what has failed is not tried again


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A submission that its engine has."""

    project: Project
    engine: Engine
    note: Note
    runs: Runs
    waiting: bool  # there are stages left for a later submission
    some_completed: bool  # runs that were asked for were completed before


def _submit(
    project: Project, engine: Engine, stages: Sequence[Stage], wanted: Wanted, *, force: bool
) -> _Submitted | None:
    """Submit what is to be executed of these stages; None if nothing is."""
    ledger = project.ledger
    choice = choose(ledger, wanted, stages, ordered=engine.ordered)
    if choice.ignored:
        print(f"{_count(choice.ignored, 'run')} left out, as `ignore` says")
    for name, left in choice.waiting.items():
        print(f"{left_words(name, left)}: left for a later submission")
    if not choice.works:
        print("nothing to execute, nothing submitted")
        return None
    draft = make_draft(engine, ledger, choice, shape_of(engine, project.batch, always=wanted.completed))
    note = hand_over(project.store, engine, draft.ready(draft.stage(print)), force=force)
    print(
        f"submitted {note.id} to {engine.name}: {_count(note.runs, 'run')} in {_count(note.chunks, 'chunk')}"
    )
    later = {work.run.key for group in choice.later for part in group for work in part}
    runs = Runs(choice.works, wanted.completed, later)
    some_completed = bool(choice.found.get(Status.COMPLETED))
    return _Submitted(project, engine, note, runs, bool(choice.waiting), some_completed)


def _once_more(project: Project, parts: Sequence[Stage]) -> Sequence[Stage]:
    """Return the runs of the submission before: what they were selected by may hold no longer when some have ended."""
    keys = {run.key for stage in parts for run in stage.runs}
    return project.narrow([(stage, run) for stage, run in project.batch.runs() if run.key in keys])


def _engine(project: Project, name: str) -> Engine:
    """Return the engine that is meant: the one that is named, or the one that the batchfile has a table for."""
    engine = load_engine(name) if name else engine_of(project.batch)
    if engine is not None:
        return engine
    tables = " or ".join(f"[{engine}]" for engine in engine_names())
    raise InvalidCommand(
        f"submit: {project.batch.path} has no table {tables} that says where to; --engine local needs none"
    )


def _wait(submitted: _Submitted) -> tuple[int, bool]:
    """Wait until all runs have ended; return the exit code, and whether another submission may follow."""
    project, note = submitted.project, submitted.note
    jobs = Jobs(submitted.engine, note.handed(project.batch))
    failures = Failures(failure_budget(project.batch.max_failures, project.batch.size))
    if submitted.some_completed:
        failures.has_completed()
    watch = Watch(project.store, submitted.runs, jobs, make_bar(sys.stdout, quiet=False), failures)
    try:
        watch.until_ended()
        if submitted.waiting and not watch.left:
            watch.until_idle()
        if watch.left and failures.too_many:
            submitted.engine.cancel(note.handed(project.batch))
            watch.line(f"cancelled {note.id}: {failures.why()}")
            return 1, False
    except KeyboardInterrupt:
        print("the job goes on without being watched")
        return _tell_where(submitted, 130), False
    except (StoreError, BatchfileError, UserError) as error:
        print(f"ERROR: {error}\nthe job goes on without being watched", file=sys.stderr)
        return _tell_where(submitted, 2), False
    finally:
        watch.close(project.command)
    for line in counted(watch.held()):
        print(line)
    if watch.left:
        how = f" ({jobs.how_ended})" if jobs.how_ended else ""
        print(f"ERROR: the job has ended{how}, and {len(watch.left):,} of its runs have not", file=sys.stderr)
        return _tell_where(submitted, 2), False
    return int(watch.progress.failed > 0), True


def _tell_where(submitted: _Submitted, code: int) -> int:
    """Print how to look again, and return the exit code."""
    batch = shlex.join(submitted.project.batch.words)
    note = submitted.note
    hints = {
        "the status of the runs": f"pydoit-sc summarize-batch {batch}",
        "its progress": f"pydoit-sc submissions {batch}",
        **submitted.engine.hints(note.id, note.jobs),
    }
    width = max(map(len, hints)) + 1
    for what, command in hints.items():
        print(f"{what + ':':{width}}  {command}")
    return code


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
