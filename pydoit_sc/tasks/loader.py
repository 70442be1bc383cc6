"""The doit loader: tasks come from a batchfile, and only those that the command line asks for are made."""

from __future__ import annotations

import os
import signal
from typing import Any

from doit.cmd_base import Command, TaskLoader2
from doit.cmd_forget import Forget
from doit.dependency import Dependency
from doit.exceptions import InvalidCommand
from doit.task import Task

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.project import Project, find_batchfile, user_errors
from pydoit_sc.tasks.tasks import RunChecker, all_tasks, run_tasks, stage_tasks

#: Those that know an engine's tasks.
_ENGINE_COMMANDS = ("run", "list", "info")

OPT_FILE = {
    "section": "batchfile",
    "name": "batchfile",
    "short": "f",
    "long": "file",
    "type": str,
    "default": "",
    "env_var": "PYDOIT_SC_FILE",
    "help": "batchfile or run list [default: batchfile.toml in this folder]",
}


class BatchfileLoader(TaskLoader2):  # type: ignore[misc]
    """Loads the tasks of a batchfile; in a project chosen by `loader = batchfile` in doit.cfg."""

    cmd_options = (OPT_FILE,)

    def __init__(self) -> None:
        super().__init__()
        self.project: Project
        self._options: dict[str, Any] = {}

    def setup(self, opt_values: dict[str, Any]) -> None:
        """Read the batchfile and go to its folder, where its commands run."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # until runs execute there is nothing to clear up
        self._options = opt_values
        self.project = Project.load(find_batchfile(opt_values["batchfile"]))
        os.chdir(self.project.batch.folder)

    def load_doit_config(self) -> dict[str, Any]:
        """Return doit's settings: failures do not stop a batch, and its database is small and never locked."""
        return {
            "backend": "batchfile",
            "dep_file": ".pydoit_sc.json",
            "check_file_uptodate": RunChecker,
            "continue": True,
        }

    def load_tasks(self, cmd: Command, pos_args: list[str]) -> list[Task]:
        """Return a task for each stage, and for the runs that the command is about.

        The words on the command line, which may be patterns and URLs, become names of tasks in their place.
        """
        project, command = self.project, cmd.get_name()
        for word in pos_args:
            if word.startswith("-"):
                raise InvalidCommand(f"`{word}` stands behind a name; options come first")
        if isinstance(cmd, Forget):
            _forget_outputs(cmd.dep_manager, project)
        if command in ("forget", "ignore") and not pos_args and not self._options.get("forget_all"):
            everything = ", or --all" if command == "forget" else ""
            raise InvalidCommand(f"{command}: name the runs or stages{everything}")
        groups = {stage.name for stage in project.batch.stages if not stage.single}
        named = list(dict.fromkeys(word for word in pos_args if word in groups))
        engine = [word for word in pos_args if command in _ENGINE_COMMANDS and project.has_task(word)]
        single = [word for word in pos_args if word not in groups and word not in engine]
        chosen = project.select(single, COMMANDS if command == "run" else ())
        pos_args[:] = [*named, *(stage.task_name(run) for stage, run in chosen), *engine]
        if engine:
            from pydoit_sc.tasks.saturn import saturn_tasks  # noqa: PLC0415 - most commands need no engine

            with user_errors():
                tasks = saturn_tasks(project)
            return [*tasks, *stage_tasks(project), *run_tasks(project, chosen)] if chosen or named else tasks
        if getattr(cmd, "streams_stages", False) or command in ("info", "help"):
            if single and not named:
                project.narrow(chosen)
            return [*stage_tasks(project), *run_tasks(project, chosen)]
        if command == "list" and not self._options.get("subtasks"):
            return [*stage_tasks(project), *run_tasks(project, chosen)]
        return all_tasks(project, project.batch.stages)


def _forget_outputs(dependencies: Dependency, project: Project) -> None:
    """Have doit's `forget` make runs incomplete: their truth is the store, not doit's database."""
    remove_mark, remove_marks = dependencies.remove, dependencies.remove_all  # of `ignore`
    keys = {stage.task_name(run): run.key for stage, run in project.batch.runs()}

    def forget(name: str) -> None:
        remove_mark(name)
        if name in keys:  # and not the group of a stage
            with user_errors():
                project.store.forget(keys[name])

    def forget_all() -> None:
        remove_marks()
        for name in keys:
            forget(name)

    dependencies.remove, dependencies.remove_all = forget, forget_all
