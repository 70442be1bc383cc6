"""`run`: execute here what is not up to date."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from typing import Any

from doit.cmd_run import Run as DoitRun
from doit.cmd_run import opt_always, opt_outfile, opt_pdb, opt_reporter, opt_single, opt_verbosity
from doit.cmdparse import CmdParse
from doit.control import TaskControl
from doit.exceptions import InvalidCommand
from doit.task import Stream

from pydoit_sc.commands.base import (
    OPT_MAX_FAILURES,
    OPT_MOVED,
    OPT_NO_HOOKS,
    OPT_QUIET,
    OPT_RETRIES,
    OPT_TIMEOUT,
)
from pydoit_sc.commands.parsing import as_words, flag, one_of, option, parse_choice, parse_nprocs
from pydoit_sc.commands.selecting import SELECTING, Selecting
from pydoit_sc.commands.usage import OF_TASKS
from pydoit_sc.hooks import tell_end
from pydoit_sc.origins import check_written
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.project import read_instead
from pydoit_sc.selection import parse_selection
from pydoit_sc.show.progress import Progress
from pydoit_sc.show.screen import screen
from pydoit_sc.tasks.errors import user_errors
from pydoit_sc.tasks.loader import BatchfileLoader
from pydoit_sc.tasks.reporter import BatchReporter
from pydoit_sc.tasks.runner import BatchRunner
from pydoit_sc.tasks.tasks import CHUNK, RunTask, StageTask, project_of

OPT_NPROCS = option(
    "num_process",
    'runs at once [default: nprocs of the batchfile]; where that is "gpus", the most of them, and each keeps its own GPU',
    short="n",
    long="process",
    metavar="N",
)
OPT_CONTINUE = option(
    "continue",
    "continue with other runs after a failure [default: %(default)s]",
    short="c",
    inverse="no-continue",
    type=bool,
    default=True,
)
OPT_FAILURES = option(
    "failure_verbosity",
    "1 repeats the stderr of failed tasks at the end, 2 also their stdout",
    type=one_of("failure-verbosity", 0, 1, 2),
    metavar="N",
    default=0,
)


OPT_JSON = flag(
    "as_json",
    "the figures of its end as JSON on standard output; all else goes to standard error",
    long="json",
)


_OF_TASKS = {"section": OF_TASKS}


class RunCommand(Selecting, DoitRun):  # type: ignore[misc]
    """doit's `run` with our runner and our reporter."""

    name = "run"
    doc_usage = "[BATCH] [STAGE | RUN | PATTERN | TARGET ...]"
    doc_description = (
        "Without a name: the whole batch. A failed run is executed again; a completed one only if it is stale.\n"
        "\n"
        "BATCH is a batchfile or a list, by default batchfile.toml in this folder; - is standard input. A list of commands "
        "has one on each line and is executed in this folder; its runs are known by their commands, and --to says where "
        "their outputs go.\n"
        "\n"
        "Exit code: 0 done, 1 a run failed, 2 something could not be executed, 3 nothing was started, "
        "128+n stopped by signal n."
    )
    streams_stages = True  # for the loader: the runs of a stage need no tasks yet
    _is_named = False  # what is to be executed
    _options: Mapping[str, Any]  # also what a dodo.py says of them, when its tasks are loaded
    cmd_options = (
        *SELECTING,
        OPT_NPROCS,
        OPT_TIMEOUT,
        OPT_RETRIES,
        OPT_MAX_FAILURES,
        OPT_CONTINUE,
        {**opt_always, "help": "also what is up to date"},
        {**opt_single, "help": "what is named alone, not what it comes after"},
        OPT_MOVED,
        OPT_QUIET,
        OPT_JSON,
        OPT_NO_HOOKS,
        {
            **opt_outfile,
            "help": "where progress is shown [default: standard output]",
            "metavar": "FILE",
            "default": None,  # doit has that of the moment when it was imported
        },
        {**opt_reporter, "help": "how it is shown [default: %(default)s]", "default": "batch"},
        {**opt_verbosity, "type": one_of("verbosity", 0, 1, 2), "metavar": "N", **_OF_TASKS},
        {**OPT_FAILURES, **_OF_TASKS},
        {**opt_pdb, **_OF_TASKS},
    )

    def make_parser(self) -> CmdParse:
        """Return the parser of options; the tasks of a dodo.py may have options behind their names, as in doit."""
        return (
            super().make_parser()
            if isinstance(self.loader, BatchfileLoader)
            else CmdParse(self.get_options())
        )

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; a relative --output-file counts from here, not from the batchfile's folder."""
        if isinstance(params["outfile"], str):
            params["outfile"] = os.path.abspath(params["outfile"])
        self._is_named, self._options = bool(args), params
        return super().execute(params, args)

    def answer(self, params: Any, text: str) -> int:
        """Tell that nothing matches, and return the exit code."""
        if params["as_json"]:
            print(text, file=sys.stderr)
            _print_json(Progress().counts())
            return 0
        return super().answer(params, text)

    def get_reporters(self) -> dict[str, Any]:
        """Return doit's reporters and ours."""
        reporters: dict[str, Any] = super().get_reporters()
        reporters["batch"] = BatchReporter
        self.cmdparser["reporter"].choices = {name: cls.desc for name, cls in reporters.items()}
        return reporters

    def _execute(  # noqa: PLR0913, PLR0917 - doit fills the parameters by their names
        self,
        outfile: Any,
        verbosity: int | None,
        always: bool,
        continue_: bool,
        reporter: Any,
        num_process: str | int | None,
        single: bool,
        quiet: bool,
        as_json: bool,
        no_hooks: bool,
        moved: bool,
        force_verbosity: bool,
        failure_verbosity: int,
    ) -> int:
        nprocs, options = parse_nprocs(num_process), self._checked()
        self.control = TaskControl(self.task_list)
        self.control.process(self.sel_tasks)
        if single:
            for name in self.control.selected_tasks:
                _leave_dependencies(self.control.tasks, name)
        make = reporter
        if isinstance(reporter, str):
            make = self.reporters[parse_choice(reporter, list(self.reporters), "--reporter")]
        if as_json:
            _check_json(make, self.control)
        if isinstance(outfile, str) and (project := project_of(self.control.tasks.values())):
            with user_errors():
                check_written(outfile, project.batch, "-o/--output-file")
        with (
            # Standard output is for the figures alone: what tasks and runs write to it goes elsewhere.
            redirect_stdout(sys.stderr if as_json else sys.stdout),
            _output(outfile or sys.stdout or os.devnull) as outstream,
            user_errors(),
        ):
            shown = screen(outstream)
            told = make(shown, {"failure_verbosity": failure_verbosity, "quiet": quiet})
            new_runner: Any = BatchRunner
            passes = self._is_named and not quiet
            how: dict[str, Any] = {"nprocs": nprocs, "moved": moved, "passes": passes, "instead": options}
            if _are_chunks(self.control):
                from pydoit_sc.tasks.chunk import ChunkRunner  # noqa: PLC0415 - few execute chunks so

                new_runner, how = ChunkRunner, {"num_process": nprocs or 1}
            runner = new_runner(
                self.dep_manager,
                told,
                continue_,
                always,
                Stream(verbosity, force_verbosity),
                **how,
            )
            try:
                code = int(runner.run_all(self.control.task_dispatcher()))
            finally:
                shown.flush()
        if isinstance(runner, BatchRunner):
            counts = runner.reckoning.counts()
            if as_json:
                _print_json(counts)
            if not no_hooks and (project := project_of(self.control.tasks.values())):
                tell_end(project.batch, counts, code)
        return code

    def _checked(self) -> Mapping[str, Any]:
        """Return what is said of runs, also in a dodo.py; raises before a task of that is executed."""
        options = as_words(self.cmdparser.options, self._options)
        with user_errors():
            read_instead(options)
            said = parse_selection(options).said
        if said and not isinstance(self.loader, BatchfileLoader):
            raise InvalidCommand(f"{said}: runs of a batchfile are selected so, not the tasks of a dodo.py")
        return options


def _check_json(reporter: object, control: TaskControl) -> None:
    if not (isinstance(reporter, type) and issubclass(reporter, BatchReporter)) or _are_chunks(control):
        raise InvalidCommand("--json: the figures are those of runs, with the reporter `batch`")


def _print_json(counts: Counts) -> None:
    print(json.dumps(asdict(counts)))


def _are_chunks(control: TaskControl) -> bool:
    """Return whether chunks are selected, and no runs."""
    selected = [control.tasks[name] for name in control.selected_tasks]
    runs = any(isinstance(task, (RunTask, StageTask)) for task in selected)
    return not runs and any((task.subtask_of or task.name) == CHUNK for task in selected)


def _leave_dependencies(tasks: dict[str, Any], name: str) -> None:
    """Remove the dependencies of a task, or of the tasks in a group that a dodo.py defines; raises InvalidCommand."""
    task = tasks[name]
    if task.loader:
        raise InvalidCommand(
            f"--single: expected tasks that are known, found `{name}` behind `create_after`: what that comes after is known only "
            "when it is executed"
        )
    if task.has_subtask and not isinstance(task, StageTask):
        for sub in task.task_dep:
            tasks[sub].task_dep = []
    else:
        task.task_dep = []


def _output(outfile: Any) -> Any:
    if not isinstance(outfile, str):
        return nullcontext(outfile)
    try:
        return open(outfile, "w", encoding="utf-8")
    except OSError as error:
        raise InvalidCommand(f"-o/--output-file: {outfile}: {error.strerror}") from error
