"""`submit`: split, send the code, apply and start, all in one; and wait, if asked."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batchfile import BatchfileError
from pydoit_sc.commands import COMMANDS
from pydoit_sc.commands.common import OPT_ALWAYS, Command, parse_choice
from pydoit_sc.saturn.errors import SaturnError
from pydoit_sc.saturn.job import (
    ACTIVE,
    apply,
    assemble,
    check_idle,
    connect,
    stage_all,
    status_of,
    unless_changed,
    wishes_of,
    write,
)
from pydoit_sc.saturn.models import Recipe
from pydoit_sc.split import Wanted
from pydoit_sc.store import StoreError
from pydoit_sc.tasks.loader import OPT_FILE
from pydoit_sc.tasks.project import Project
from pydoit_sc.tasks.reporter import make_bar
from pydoit_sc.tasks.watch import Runs, Watch

ENGINES = ("saturn",)
_PAUSE = 1.0  # seconds between two looks at a job that is about to end
_TO_START = 60.0  # seconds in which a job that was started may still be called stopped


class Submit(Command):
    """Hand a batch to an engine."""

    name = "submit"
    doc_purpose = COMMANDS["submit"].purpose
    doc_usage = ""
    doc_description = (
        "Of this folder's batchfile, with the recipe and all else that its table [saturn] names. Completed runs are "
        "left out. Stages that come after another one wait for a later submission, which --wait makes, too.\n"
        "\n"
        "With --wait the exit code is 0 if all runs are completed, 1 if one failed, 2 if the job ended without "
        "executing some. Ctrl-C ends the waiting, not the job."
    )
    cmd_options = (
        OPT_FILE,
        {
            "name": "engine",
            "long": "engine",
            "type": str,
            "default": "",
            "help": f"what executes the runs, one of {', '.join(ENGINES)} [default: the one that has a table]",
        },
        {
            "name": "wait",
            "long": "wait",
            "type": bool,
            "default": False,
            "help": "show how the runs go on, until all have ended",
        },
        OPT_ALWAYS,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Submit what is not up to date and return the exit code."""
        self.each(words, "")
        always = options["always"]
        while True:
            project = Project.load(options["batchfile"])
            _engine(project, options["engine"])
            submitted = _submit(project, always=always)
            if submitted is None:
                return 0
            if not options["wait"]:
                return _tell_where(project, submitted.recipe, 0)
            code = _wait(project, submitted)
            if code or not submitted.waiting:
                return code
            always = False  # the stages that have waited are stale now


@dataclass(frozen=True, slots=True)
class _Submitted:
    recipe: Recipe  # as Saturn Cloud has it
    runs: Runs
    waiting: bool  # there are stages left for a later submission


def _submit(project: Project, *, always: bool) -> _Submitted | None:
    """Submit what is to be executed; None if nothing is."""
    wanted = Wanted(completed=always, failures=True)
    ledger = project.ledger
    before = dict(ledger.records)
    choice, submission = assemble(ledger, wanted, wishes_of(project.batch), print)
    if not choice.items:
        print("nothing to execute, nothing submitted")
        return None
    if not always:
        submission = unless_changed(submission)
    check_idle(submission.recipe)
    recipe = submission.finished(stage_all(submission, print))
    write(submission, recipe)
    applied = apply(recipe, print, start=True)
    return _Submitted(applied, Runs(choice.items, before, always), bool(choice.waiting))


def _engine(project: Project, name: str) -> str:
    """Return the engine that is meant: the one that is named, or the one that the batchfile has a table for."""
    if name:
        return parse_choice(name, ENGINES, "--engine")
    found = [engine for engine in ENGINES if engine in project.batch.engines]
    if not found:
        tables = " or ".join(f"[{engine}]" for engine in ENGINES)
        raise InvalidCommand(f"submit: {project.batch.path} has no table {tables} that says where to")
    return found[0]


def _wait(project: Project, submitted: _Submitted) -> int:
    """Wait until all runs have ended, and return the exit code."""
    watch = Watch(project.store, submitted.runs, make_bar(sys.stdout, quiet=False))
    applied = submitted.recipe
    alive = _Alive(applied)
    try:
        watch.until_ended(alive)
        while submitted.waiting and not watch.progress.failed and alive():
            time.sleep(_PAUSE)  # its machines end a moment after their last run
    except KeyboardInterrupt:
        print("the job goes on without being watched")
        return _tell_where(project, applied, 130)
    except (StoreError, BatchfileError) as error:
        print(f"ERROR: {error}\nthe job goes on without being watched", file=sys.stderr)
        return _tell_where(project, applied, 2)
    finally:
        watch.close()
    if watch.left:
        count = len(watch.left)
        print(
            f"ERROR: the job has ended ({alive.status}), and {count:,} of its runs have not", file=sys.stderr
        )
        return _tell_where(project, applied, 2)
    return int(watch.progress.failed > 0)


class _Alive:
    """Says whether the job is at work, or may be: Saturn Cloud takes a moment to call a started job so."""

    def __init__(self, applied: Recipe) -> None:
        self._recipe = applied
        self._before = str((applied.get("state") or {}).get("status") or "")
        self._until = time.monotonic() + _TO_START
        self.status = ""

    def __call__(self) -> bool:
        try:
            with connect() as client:
                self.status = status_of(client, self._recipe)
        except SaturnError:
            return True  # it is the store that says how the runs are
        if self.status in ACTIVE:
            self._until = 0
            return True
        return self.status == self._before and time.monotonic() < self._until


def _tell_where(project: Project, applied: Recipe, code: int) -> int:
    """Say how to look again, and return the exit code."""
    spec = applied["spec"]
    file = shlex.quote(str(project.batch.path))
    owner = f" --owner {shlex.quote(str(spec['owner']))}" if spec.get("owner") else ""
    print(f"how the runs stand:   pydoit-sc summarize-batch {file}")
    print(f"what the job writes:  pydoit-sc job-logs {shlex.quote(str(spec['name']))}{owner} --all")
    return code
