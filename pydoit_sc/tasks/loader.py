"""The doit loader: tasks come from a batchfile, and only those that the command line asks for are made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from doit.cmd_base import Command, TaskLoader2
from doit.cmd_forget import Forget
from doit.dependency import Dependency
from doit.task import Task

from pydoit_sc.tasks.project import Project, find_batchfile, user_errors
from pydoit_sc.tasks.tasks import RunChecker, all_tasks, run_tasks, stage_tasks

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

    def load_tasks(self, cmd: Command, pos_args: Sequence[str]) -> list[Task]:
        """Return a task for each stage, and for the runs that the command is about."""
        project = self.project
        if isinstance(cmd, Forget):
            _forget_outputs(cmd.dep_manager, project)
        stages = project.batch.stages
        named = [word for word in pos_args if not word.startswith("-")]
        groups = {stage.name for stage in stages}
        if getattr(cmd, "streams_stages", False) or cmd.get_name() in ("info", "help"):
            single = [word for word in named if word not in groups]
            if not single:
                return stage_tasks(project)
            chosen = project.select(single)
            if len(single) == len(named):
                project.narrow(chosen)
            return [*stage_tasks(project), *run_tasks(project, chosen)]
        if cmd.get_name() == "list" and not self._options.get("subtasks"):
            return [*stage_tasks(project), *run_tasks(project, project.select(set(named) - groups))]
        return all_tasks(project, stages)


def _forget_outputs(dependencies: Dependency, project: Project) -> None:
    """Have doit's `forget` make runs incomplete: their truth is the store, not doit's database."""

    remove_mark, remove_marks = dependencies.remove, dependencies.remove_all  # of `ignore`

    def forget(name: str) -> None:
        remove_mark(name)
        if not any(stage.name == name and not stage.single for stage in project.batch.stages):
            with user_errors():
                for _, run in project.select([name]):
                    project.store.forget(run.key)

    def forget_all() -> None:
        remove_marks()
        with user_errors():
            for _, run in project.batch.runs():
                project.store.forget(run.key)

    dependencies.remove, dependencies.remove_all = forget, forget_all
