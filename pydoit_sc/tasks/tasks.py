"""Runs and stages as doit tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TextIO

from doit.control import TaskDispatcher
from doit.task import Task

from pydoit_sc.batch import Run, RunSet, Stage, Status, task_of
from pydoit_sc.batchfile.read import stage_names
from pydoit_sc.changes import details
from pydoit_sc.errors import UserError
from pydoit_sc.parts import in_order
from pydoit_sc.plan import plan
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.tasks.changing import is_anything_left
from pydoit_sc.tasks.dependency import BatchTask, take_over
from pydoit_sc.tasks.errors import user_errors
from pydoit_sc.verdicts import Verdict

#: The group of the tasks that execute the chunks of a submission.
CHUNK = "chunk"


class RunIsCurrent:
    """The up-to-date check of a run for doit's own runners: what it comes after has just been executed."""

    def __init__(self, project: Project, stage: Stage, run: Run) -> None:
        self._project, self._stage, self._run = project, stage, run

    @user_errors()
    def __call__(self) -> bool:
        return self._project.ledger.verdict(self._stage, self._run).status is Status.COMPLETED


class RunIsPlanned:
    """The up-to-date check of a run where nothing is executed: as `plan` says; its text is the reason."""

    def __init__(self, project: Project, stage: Stage, run: Run) -> None:
        self._project, self._stage, self._run = project, stage, run

    @cached_property
    @user_errors()
    def verdict(self) -> Verdict:
        """The run's status and its reason."""
        parts = self._project.narrow([(self._stage, self._run)])
        planned = plan(self._project.ledger, parts)
        return next(item.verdict for item in planned if item.run.key == self._run.key)

    def __call__(self) -> bool:
        # That it is ignored is a reason to be told, too.
        return self.verdict.status is Status.COMPLETED and not self.verdict.ignored

    def __repr__(self) -> str:
        project, verdict = self._project, self.verdict
        more = details(project.ledger, project.store, self._run) if verdict.status is Status.STALE else ()
        return "\n   ".join((f"{verdict.status}: {verdict.words}", *more))


class StageIsCurrent:
    """The up-to-date check of a stage for doit's own runners: that of all its runs."""

    def __init__(self, project: Project, stage: Stage) -> None:
        self._project, self._stage = project, stage

    @user_errors()
    def __call__(self) -> bool:
        ledger = self._project.ledger
        return not any(ledger.verdict(self._stage, run).execute for run in self._stage.runs)


class StageIsPlanned:
    """The up-to-date check of a stage where nothing is executed; its text is the reason."""

    def __init__(self, project: Project, stage: Stage) -> None:
        self._project, self._stage = project, stage

    @cached_property
    @user_errors()
    def _to_execute(self) -> int:
        parts = self._project.narrow([(self._stage, run) for run in self._stage.runs])
        planned = plan(self._project.ledger, parts)
        return sum(item.verdict.execute for item in planned if item.stage.name == self._stage.name)

    def __call__(self) -> bool:
        return not self._to_execute

    def __repr__(self) -> str:
        return f"{self._to_execute:,} of {len(self._stage.runs):,} runs to execute"


class RunTask(BatchTask):
    """A run as a doit task: its target is the remote `status_code`.

    doit's own runners execute it by a program of its own; ours never look at the action.
    """

    def __init__(self, project: Project, stage: Stage, run: Run) -> None:
        name = stage.task_name(run)
        alone = [
            sys.executable,
            "-m",
            "pydoit_sc",
            "run",
            "--quiet",
            "--no-hooks",
            "--single",  # doit has seen to the others, and has decided that this one is to be executed
            "--always-execute",
            *project.batch.words,
            name,
        ]
        super().__init__(
            name,
            [alone],
            targets=[project.target(run)],
            uptodate=[RunIsCurrent(project, stage, run)],
            task_dep=list(_names(run.after)),
            subtask_of=None if stage.single else stage.name,
            doc=run.cmd,
        )
        self.value_savers.append(self._read_outcome)
        self.project, self.stage, self.run = project, stage, run
        self.options: dict[str, Any] = {}

    @property
    def runs(self) -> Sequence[Run]:
        """The run."""
        return [self.run]

    @cached_property
    def planned(self) -> RunIsPlanned:
        """Whether it is up to date where nothing is executed."""
        return RunIsPlanned(self.project, self.stage, self.run)

    @user_errors()
    def _read_outcome(self) -> dict[str, Any]:
        """Note the run's new outcome; one of doit's own runners calls this after it has executed the run."""
        record = self.project.store.scan([self.run.key]).get(self.run.key)
        if record:
            self.project.ledger.publish(self.run, record)
        return {}

    def init_options(self, args: Any = None) -> Any:
        """Leave the words behind the run's name on a command line alone: a run has no options."""
        return args

    def sibling(self, run: Run) -> RunTask:
        """Return the task of another run of the stage, for our runner; this is much quicker than making a new one."""
        task = object.__new__(RunTask)
        task.__dict__ = {
            **self.__dict__,
            "name": self.stage.task_name(run),
            "run": run,
            "targets": [self.project.target(run)],
            "values": {},
            "doc": run.cmd,
        }
        return task

    @user_errors()
    def clean(self, outstream: TextIO, dryrun: bool) -> None:
        """Remove the run's output and its history from the store, and say so if there was anything."""
        store, key = self.project.store, self.run.key
        if is_anything_left(store, key) if dryrun else store.remove(key):
            outstream.write(self.removing)

    @property
    def removing(self) -> str:
        """What `clean` says of the run."""
        return f"{self.name} - removing {self.project.output(self.run)}\n"


def _names(after: Iterable[Run | RunSet]) -> Iterator[str]:
    """Yield the names of the tasks of earlier runs: of a whole stage that of the stage."""
    for one in after:
        if isinstance(one, Run):
            yield task_of(one.key)
        elif one.whole:
            yield one.stage
        else:
            yield from (task_of(run.key) for run in one.members)


class StageTask(BatchTask):
    """A stage as a doit task group; the order of its runs is that of order.py."""

    def __init__(self, project: Project, stage: Stage) -> None:
        count = len(stage.runs)
        after = f" after {', '.join(stage.after)}" if stage.after else ""
        super().__init__(
            stage.name,
            None,
            uptodate=[StageIsCurrent(project, stage)],
            has_subtask=True,
            doc=f"{counted(count, 'run')}{after}",
        )
        self.project, self.stage = project, stage

    @property
    def runs(self) -> Sequence[Run]:
        """Its runs, or those of them that it is made for."""
        return self.stage.runs

    @cached_property
    def planned(self) -> StageIsPlanned:
        """Whether all of them are up to date where nothing is executed."""
        return StageIsPlanned(self.project, self.stage)


def part_tasks(project: Project, parts: Iterable[Stage]) -> list[StageTask]:
    """Return a task for each stage, or part of one, each behind those that it comes after: for our runner."""
    return [StageTask(project, part) for part in in_order(list(parts))]


def runs_of(task: Task) -> Sequence[Run]:
    """Return the runs of a task: its own, those of its stage, or none."""
    return task.runs if isinstance(task, BatchTask) else []


def stages_of(project: Project, tasks: Iterable[Task]) -> list[Stage]:
    """Return what the tasks of a batch are of, as stages that have only their runs, in the order of the batch."""
    parts: dict[str, Stage] = {}
    singles: dict[str, list[Run]] = {}
    for task in tasks:
        if isinstance(task, StageTask):
            parts[task.stage.name] = task.stage
        elif isinstance(task, RunTask):
            singles.setdefault(task.stage.name, []).append(task.run)
    return [
        parts[stage.name] if stage.name in parts else stage._replace(runs=singles[stage.name])
        for stage in project.batch.stages
        if stage.name in parts or stage.name in singles
    ]


def closure(dispatcher: TaskDispatcher) -> list[str]:
    """Return the names of the selected tasks and of all that they depend on."""
    names: dict[str, None] = {}
    new: list[str] = list(dispatcher.selected_tasks)
    while new:
        name = new.pop()
        if name not in names:
            names[name] = None
            new.extend(dispatcher.tasks[name].task_dep)
    return list(names)


def check_selected(dispatcher: TaskDispatcher) -> None:
    """Raise UserError for a selected name that means a run, where the batch has none of that name.

    Of a batch behind `create_after` doit takes any name of a run, and executes nothing for one that there is not.
    """
    tasks = dispatcher.tasks
    if project := project_of(tasks.values()):
        stages = {stage.name for stage in project.batch.stages}
        for name in dispatcher.selected_tasks:
            if name.partition(":")[0] in stages and not isinstance(tasks[name], BatchTask):
                raise UserError(project.unknown(name))


def project_of(tasks: Iterable[Task]) -> Project | None:
    """Return the project that has runs among these tasks, if there is one."""
    return next((task.project for task in tasks if isinstance(task, BatchTask)), None)


def stage_tasks(project: Project) -> list[Task]:
    """Return a task for each stage: the group, or the one run of a stage without a matrix."""
    return [
        RunTask(project, stage, stage.runs[0]) if stage.single else StageTask(project, stage)
        for stage in project.batch.stages
    ]


def run_tasks(project: Project, chosen: Iterable[tuple[Stage, Run]]) -> Iterator[Task]:
    """Yield a task for each of these runs that `stage_tasks` has none for."""
    return (RunTask(project, stage, run) for stage, run in chosen if not stage.single)


def all_tasks(project: Project) -> list[Task]:
    """Return the tasks of all stages and of all their runs."""
    tasks = stage_tasks(project)
    for stage, group in zip(project.batch.stages, list(tasks), strict=True):
        runs = list(run_tasks(project, ((stage, run) for run in stage.runs)))
        group.task_dep.extend(task.name for task in runs)
        tasks.extend(runs)
    return tasks


@user_errors()
def _load(path: str) -> Project:
    return Project.load(path)


def batch_tasks(path: str = "batchfile.toml", task_dep: Sequence[str] = ()) -> Iterator[Task]:
    """Yield the tasks of a batchfile, for a hand-written dodo.py. All of them wait for the tasks in `task_dep`.

        def task_batch():
            yield from batch_tasks("batchfile.toml", task_dep=["prepare"])

    Where a task makes what the batchfile reads, such as the CSV file of an axis, doit reads the batchfile after that task:

        @create_after(executed="prepare", creates=batch_stages("batchfile.toml"))
        def task_batch():
            yield from batch_tasks("batchfile.toml", task_dep=["prepare"])

    Raises InvalidDodoFile with all that is wrong with the file.
    """
    project = _load(path)
    take_over(project)
    for task in all_tasks(project):
        task.task_dep.extend(task_dep)
        yield task


@user_errors()
def batch_stages(path: str = "batchfile.toml") -> list[str]:
    """Return the names of a batchfile's stages, which are those of doit's tasks; what their axes read need not be there.

    Raises InvalidDodoFile where the file cannot be read.
    """
    return stage_names(path)
