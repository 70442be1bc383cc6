"""`run`: execute here what is not up to date."""

from __future__ import annotations

import sys
from typing import Any

from doit.cmd_run import Run as DoitRun
from doit.cmd_run import opt_always, opt_outfile, opt_pdb, opt_reporter, opt_single, opt_verbosity
from doit.control import TaskControl
from doit.exceptions import InvalidCommand
from doit.task import Stream

from pydoit_sc.commands import COMMANDS
from pydoit_sc.tasks.project import user_errors
from pydoit_sc.tasks.reporter import BatchReporter
from pydoit_sc.tasks.runner import BatchRunner

OPT_NPROCS = {
    "name": "num_process",
    "short": "n",
    "long": "process",
    "type": int,
    "default": 0,
    "help": "runs at once [default: nprocs of the batchfile]",
}
OPT_CONTINUE = {
    "name": "continue",
    "short": "c",
    "long": "continue",
    "inverse": "no-continue",
    "type": bool,
    "default": True,
    "help": "go on with other runs after a failure [default: %(default)s]",
}
OPT_QUIET = {
    "name": "quiet",
    "short": "q",
    "long": "quiet",
    "type": bool,
    "default": False,
    "help": "show failures only",
}
OPT_FAILURES = {
    "name": "failure_verbosity",
    "long": "failure-verbosity",
    "type": int,
    "default": 0,
    "help": "of tasks that are no runs: 1 shows stderr of the failed again at the end, 2 stdout too",
}


class Run(DoitRun):  # type: ignore[misc]
    """doit's `run` with our runner and our reporter."""

    name = "run"
    doc_purpose = COMMANDS["run"].purpose
    doc_usage = "[STAGE | RUN | PATTERN | TARGET ...]"
    doc_description = (
        "Without a name: the whole batch. A failed run is executed again; a completed one only if it is stale.\n"
        "\n"
        "Exit code: 0 done, 1 a run failed, 2 something could not be executed, 3 nothing was started, "
        "128+n stopped by signal n."
    )
    streams_stages = True  # for the loader: the runs of a stage need no tasks yet
    cmd_options = (
        opt_always,
        OPT_CONTINUE,
        OPT_NPROCS,
        OPT_QUIET,
        opt_single,
        {**opt_reporter, "default": "batch"},
        opt_outfile,
        opt_verbosity,
        OPT_FAILURES,
        opt_pdb,
    )

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
        num_process: int,
        single: bool,
        quiet: bool,
        force_verbosity: bool,
        failure_verbosity: int,
    ) -> int:
        if num_process < 0:
            raise InvalidCommand(f"-n/--process: expected a number of runs at once, found {num_process}")
        self.control = TaskControl(self.task_list)
        self.control.process(self.sel_tasks)
        if single:
            for name in self.control.selected_tasks:
                self.control.tasks[name].task_dep = []
        options = {"failure_verbosity": failure_verbosity, "quiet": quiet}
        make = self.reporters[reporter] if isinstance(reporter, str) else reporter
        with _output(outfile) as outstream, user_errors():
            runner = BatchRunner(
                self.dep_manager,
                make(outstream, options),
                continue_,
                always,
                Stream(verbosity, force_verbosity),
                nprocs=num_process or None,
            )
            return int(runner.run_all(self.control.task_dispatcher()))


def _output(outfile: Any) -> Any:
    from contextlib import nullcontext  # noqa: PLC0415

    if isinstance(outfile, str):
        return open(outfile, "w", encoding="utf-8")
    return nullcontext(sys.stdout if outfile is None else outfile)
