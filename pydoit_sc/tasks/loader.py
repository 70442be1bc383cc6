"""The doit loader: tasks come from a batchfile, and only those that the command line asks for are made."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from doit.cmd_base import Command, TaskLoader2
from doit.exceptions import InvalidCommand
from doit.task import Task

from pydoit_sc.batch import Run, Stage
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.parts import in_order
from pydoit_sc.project import Project
from pydoit_sc.selection import Selection, parse_selection, select, select_to_execute
from pydoit_sc.show.screen import escape_in_place
from pydoit_sc.tasks.dependency import take_over
from pydoit_sc.tasks.errors import user_errors
from pydoit_sc.tasks.listing import Part, parts_of, parts_with
from pydoit_sc.tasks.tasks import all_tasks, part_tasks, run_tasks, stage_tasks
from pydoit_sc.utf8 import check_encoding

#: doit's database.
_STATE = ".pydoit_sc.json"
#: The commands that know the tasks of a submission.
_WITH_SUBMISSION = ("run", "list", "info")
#: The commands that would act on the whole batch without a name.
_NEED_NAMES = {
    "forget": ", or --all",
    "ignore": "",
    "clean": ", or -a for all outputs and their history; --dry-run shows them",
}

OPT_FILE = {
    "section": "batchfile",
    "name": "batchfile",
    "short": "f",
    "long": "file",
    "type": str,
    "default": "",
    "env_var": "PYDOIT_SC_FILE",
    "help": "BATCH: a batchfile, a run list or a list of commands, or - for standard input [default: batchfile.toml in this folder]",
}

OPT_REMOTE = {
    "section": "batchfile",
    "name": "remote_output_path",
    "long": "to",
    "metavar": "URL",
    "type": str,
    "default": "",
    "help": "where the outputs are, a folder or a URL, in place of what the file says",
}

OPT_NAMES = {
    "section": "batchfile",
    "name": "names",
    "long": "names",
    "metavar": "COLUMN",
    "type": str,
    "default": "",
    "help": "of a run list in CSV or TSV: the column with the names of its runs [default: name, else their positions]",
}

#: The options of every command that is about a batch.
BATCH_OPTIONS = (OPT_FILE, OPT_REMOTE, OPT_NAMES)
#: The same for a command whose own --to says where it writes.
BATCH_OPTIONS_BESIDE_TO = (OPT_FILE, {**OPT_REMOTE, "long": "remote-output-path"}, OPT_NAMES)


def open_project(options: Mapping[str, Any]) -> Project:
    """Return the batch that these options name; raises UserError with all that is wrong with its file."""
    project = Project.load(
        options["batchfile"],
        remote_output_path=options["remote_output_path"] or None,
        names=options["names"] or None,
    )
    gc.freeze()  # a batch stays to the end of the program: to look through a million runs again and again finds no garbage
    return project


class _Chosen(NamedTuple):
    """What the words of a command line mean."""

    groups: list[str]  # stages with a matrix, by name
    runs: list[tuple[Stage, Run]]
    submission: list[str]  # tasks of the next submission

    def words(self) -> list[str]:
        """Return the names of the tasks."""
        return [*self.groups, *(stage.task_name(run) for stage, run in self.runs), *self.submission]


class BatchfileLoader(TaskLoader2):  # type: ignore[misc]
    """Loads the tasks of a batchfile; in a project chosen by `loader = batchfile` in doit.cfg."""

    cmd_options = BATCH_OPTIONS

    def __init__(self) -> None:
        super().__init__()
        self.project: Project
        self._options: dict[str, Any] = {}

    @user_errors()
    def setup(self, opt_values: dict[str, Any]) -> None:
        """Read the batchfile and go to its folder, where its commands run."""
        check_encoding()  # under `doit`: the program of ours sees to it itself
        escape_in_place(sys.stdout)
        escape_in_place(sys.stderr)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # until runs execute there is nothing to clear up
        self._options = opt_values
        self.project = open_project(opt_values)
        self.project.execute_as(opt_values)
        os.chdir(self.project.batch.folder)

    def load_doit_config(self) -> dict[str, Any]:
        """Return doit's settings: its database is small and never locked, and failures do not stop a batch by default.

        doit lets these take the place of what its configuration says.
        """
        config = self.config or {}
        said = any("continue" in config.get(section, ()) for section in ("GLOBAL", "run"))
        return {"backend": "batchfile", "dep_file": _STATE, **({} if said else {"continue": True})}

    @user_errors()
    def load_tasks(self, cmd: Command, pos_args: list[str]) -> list[Task]:
        """Return a task for each stage, and for the runs that the command is about.

        The words on the command line, which may be patterns and URLs, are replaced by the names of tasks.
        """
        project, command = self.project, cmd.get_name()
        selection = parse_selection(self._options, pos_args)
        _check_words(command, selection, self._options)
        take_over(project, getattr(cmd, "leave", None))  # of a command of ours
        if getattr(cmd, "streams_stages", False) and not any(map(project.has_task, pos_args)):
            # doit's own reporters tell of each run that is up to date, of which doit looks for the target
            is_ours = self._options.get("reporter") == "batch"
            project.needs_verdicts_only = is_ours and not selection.of_outcomes
            return part_tasks(project, self._parts(selection, pos_args))
        chosen = _choose(project, command, selection)
        pos_args[:] = chosen.words()
        if selection.said:
            cmd.sel_tasks = pos_args  # doit has looked at the words before, where there may have been none
        if chosen.submission:
            return _with_submission(project, chosen)
        if hasattr(cmd, "parts"):  # our `list`: it makes the tasks of runs itself
            cmd.parts = _parts(project, selection, chosen, with_runs=bool(self._options.get("subtasks")))
            return stage_tasks(project)
        if command in ("info", "help") or (command == "list" and not self._options.get("subtasks")):
            return [*stage_tasks(project), *run_tasks(project, chosen.runs)]
        if selection.said and not any(self._options.get(option) for option in ("cleandep", "forget_sub")):
            return _alone(project, chosen.runs)
        return all_tasks(project)

    def _parts(self, selection: Selection, words: list[str]) -> Sequence[Stage]:
        """Return what `run` executes, as stages with the selected runs; the words become the names of these."""
        always, alone = (bool(self._options.get(option)) for option in ("always", "single"))
        parts = select_to_execute(self.project, selection, COMMANDS, always=always, alone=alone)
        if selection:
            words[:] = [part.name for part in in_order(parts)]
        return parts


def _check_words(command: str, selection: Selection, options: Mapping[str, Any]) -> None:
    for word in selection.words:
        if word.startswith("-"):
            raise InvalidCommand(f"`{word}`: options come before names")
    everything = bool(options.get("forget_all") or options.get("cleanall"))
    if command in _NEED_NAMES and not (selection or everything or options.get("dryrun")):
        raise InvalidCommand(f"{command}: name the runs or stages{_NEED_NAMES[command]}")
    if everything and selection:
        raise InvalidCommand(f"{command}: expected the whole batch, or {selection.text}, found both")


def _choose(project: Project, command: str, selection: Selection) -> _Chosen:
    """Sort the words of a command line into groups, tasks of a submission, and runs."""
    if selection.said:
        return _Chosen([], select(project, selection), [])
    words = selection.words
    known = {stage.name for stage in project.batch.stages if not stage.single}
    groups = list(dict.fromkeys(word for word in words if word in known))
    submission = [word for word in words if command in _WITH_SUBMISSION and project.has_task(word)]
    rest = [word for word in words if word not in known and word not in submission]
    return _Chosen(groups, project.select(rest, COMMANDS if command == "run" else ()), submission)


def _parts(project: Project, selection: Selection, chosen: _Chosen, *, with_runs: bool) -> list[Part]:
    if not selection:
        return parts_of(project.batch.stages, with_runs=with_runs)
    groups = [stage for stage in project.batch.stages if stage.name in chosen.groups]
    return [*parts_of(groups, with_runs=with_runs), *parts_with(chosen.runs)]


def _alone(project: Project, runs: list[tuple[Stage, Run]]) -> list[Task]:
    """Return tasks of these runs that know nothing of those that they come after: nothing is executed."""
    tasks = [*stage_tasks(project), *run_tasks(project, runs)]
    for task in tasks:
        task.task_dep = []
    return tasks


def _with_submission(project: Project, chosen: _Chosen) -> list[Task]:
    from pydoit_sc.tasks.submission import submission_tasks  # noqa: PLC0415 - most commands need no engine

    chunks = any(word.partition(":")[0] == "chunk" for word in chosen.submission)
    tasks = submission_tasks(project, keep=chunks)
    if chosen.groups or chosen.runs:
        return [*tasks, *stage_tasks(project), *run_tasks(project, chosen.runs)]
    return tasks
