"""What doit asks its database about runs, and tells it of them: the store and the file of `ignore` know it instead.

So it is the same whoever asks: `doit`, with doit's own commands or with ours, and `pydoit-sc`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence, Set
from functools import cached_property
from typing import Any, TypeAlias

from doit.dependency import Dependency, DependencyStatus
from doit.exceptions import InvalidCommand, InvalidDodoFile
from doit.globals import Globals
from doit.task import Stream, Task

from pydoit_sc.batch import Run, Stage
from pydoit_sc.ignored import change_ignored
from pydoit_sc.plan import plan
from pydoit_sc.project import Project
from pydoit_sc.store import TakenError
from pydoit_sc.tasks.changing import change_each
from pydoit_sc.tasks.errors import user_errors

_RESULT = "result:"  # as doit calls it
_OF_BATCH = ("project", "stage", "run", "planned")

#: Is told of a run that is left, since something else has its place; without one that is an error.
Leave = Callable[[str, Exception], None]
#: Tells whether a task is up to date, in the form that doit calls; its text is the reason.
Check: TypeAlias = Callable[[], bool]


class BatchTask(Task):  # type: ignore[misc]
    """A task of a batch: a stage or a run."""

    project: Project
    stage: Stage
    is_selected = False  # by one of doit's runners, which executes it if it is not up to date

    @property
    def runs(self) -> Sequence[Run]:
        """Its runs."""
        raise NotImplementedError

    @cached_property
    def planned(self) -> Check:
        """Whether it is up to date where nothing is executed, with the reason as its text."""
        raise NotImplementedError

    def overwrite_verbosity(self, stream: Stream) -> None:
        """Set how much is shown. Runners call this before they ask for the status, and doit's other commands do not."""
        super().overwrite_verbosity(stream)
        self.is_selected = True

    def __getstate__(self) -> dict[str, Any]:
        """Return what doit sends to its processes of a task that they do not have, since it has come with others."""
        return _without_batch(super().__getstate__())

    def pickle_safe_dict(self) -> dict[str, Any]:
        """Return what doit sends to its processes of a task that they have."""
        return _without_batch(super().pickle_safe_dict())

    def _extend_uptodate(self, uptodate: Sequence[object]) -> None:
        """Take the check; raise InvalidCommand for the value that doit's `strace` adds, which traces what doit starts."""
        if any(isinstance(one, bool) for one in uptodate):
            raise InvalidCommand(
                f"strace: expected a task of a dodo.py, found the batch's `{self.name}`, whose runs a worker starts"
            )
        super()._extend_uptodate(uptodate)

    @property
    @user_errors()
    def is_ignored(self) -> bool:
        """Whether the user has said that it, or its stage, is to be left as it is."""
        return not self.project.ignored.isdisjoint((self.stage.name, self.name))


def _without_batch(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a task without the batch, which cannot be sent: a run's action is a program that reads it."""
    return {name: value for name, value in state.items() if name not in _OF_BATCH}


class BatchDependency(Dependency):  # type: ignore[misc]
    """doit's database, for the tasks of a batch, too. What is said of them is done when it is closed."""

    _project: Project
    _undoes: bool  # what is to be ignored is ignored no longer
    _ignored: set[str]  # names of tasks
    _forgotten: dict[str, str]  # names of tasks, with the keys of runs
    _keys: dict[str, str] | None
    _leave: Leave | None
    #: What is known of a task, by its name, and what the database itself knows.
    _get: Callable[[str, str], Any]
    _get_saved: Callable[[str, str], Any]

    def take(self, project: Project, leave: Leave | None) -> None:
        """Know the tasks of this batch."""
        self._project, self._leave = project, leave
        self._undoes, self._ignored, self._forgotten, self._keys = False, set(), {}, None
        self._get_saved, self._get = self._get, self._get_known

    @property
    def _all(self) -> dict[str, str]:
        """The tasks of the batch by name, with the keys of runs; a group has none."""
        if self._keys is None:
            batch = self._project.batch
            self._keys = {stage.name: "" for stage in batch.stages}
            self._keys |= {stage.task_name(run): run.key for stage, run in batch.runs()}
        return self._keys

    @cached_property
    @user_errors()
    def _to_execute(self) -> Set[str]:
        """The keys of the runs that an execution of the whole batch would execute."""
        project = self._project
        return {item.run.key for item in plan(project.ledger, project.batch.stages) if item.verdict.execute}

    def get_status(self, task: Task, tasks_dict: Any, get_log: bool = False) -> DependencyStatus:
        """Return whether a task is up to date; of a run or a stage the plan says it, or while runs are executed its verdict."""
        if not isinstance(task, BatchTask):
            return super().get_status(task, tasks_dict, get_log)
        found = DependencyStatus(get_log)
        if not task.is_selected and not get_log:  # for `list`: of many tasks
            if any(run.key in self._to_execute for run in task.runs):
                found.status = "run"
            return found
        check = task.uptodate[0][0] if task.is_selected else task.planned
        if not check():
            found.add_reason("uptodate_false", (check, [], {}))
        return found

    @user_errors()
    def _get_known(self, name: str, what: str) -> Any:
        """Return what is known of a task; the result of a run, for `result_dep`, is which attempt the store has of it."""
        if what != _RESULT or not (key := self._all.get(name)):
            return self._get_saved(name, what)
        record = self._project.ledger.records.get(key)
        return record and record.attempt

    def status_is_ignore(self, task: Task) -> bool:
        """Return whether `ignore` excludes a task."""
        return task.is_ignored if isinstance(task, BatchTask) else bool(super().status_is_ignore(task))

    def begin_undoing(self) -> Set[str]:
        """Take what is to be ignored from now on for what is ignored no longer; return the names of what is."""
        self._undoes = True
        return self._project.ignored

    def ignore(self, task: Task) -> None:
        """Ignore a task from now on, or no longer."""
        if isinstance(task, BatchTask):
            self._ignored.add(task.name)
        else:
            self._set(task.name, "ignore:", "" if self._undoes else "1")

    def save_success(self, task: Task, result_hash: object = None) -> None:
        """Save what is known of a task; raises InvalidCommand where doit's `reset-dep` would do so for what is not up to date."""
        if isinstance(task, BatchTask) and not task.is_selected:
            accept = self._project.command("accept", shlex.quote(task.name))
            raise InvalidCommand(
                f"reset-dep: expected tasks of a dodo.py by name, found the batch's `{task.name}`; "
                f"`{accept}` takes outcomes as current"
            )
        super().save_success(task, result_hash)

    def remove_success(self, task: Task) -> None:
        """Forget the success of a task that has failed: a run's outcome stays."""
        self.backend.remove(task.name)

    def remove(self, name: str) -> None:
        """Forget a task: a run's output goes to the history. What `ignore` has said of it stays, unlike with doit."""
        self.backend.remove(name)
        if name in self._all:
            self._forgotten[name] = self._all[name]

    def remove_all(self) -> None:
        """Forget all tasks."""
        self.backend.remove_all()
        self._forgotten.update(self._all)

    @user_errors()
    def close(self) -> None:
        """Write what has been said, and forget outputs."""
        if self._closed:
            return
        super().close()
        if self._ignored:
            more, fewer = (set(), self._ignored) if self._undoes else (self._ignored, set())
            change_ignored(self._project.batch, more, fewer)
        store, keys = self._project.store, {name: key for name, key in self._forgotten.items() if key}
        for name, found in change_each(store, store.forget, keys):
            if not isinstance(found, TakenError):
                continue
            if self._leave is None:
                raise found
            self._leave(name, found)


def take_over(project: Project, leave: Leave | None = None) -> None:
    """Have the database of the doit command that is executed now know the tasks of this batch.

    Raises InvalidDodoFile where it has those of another one.
    """
    found: Dependency | None = Globals.dep_manager
    if found is None:  # nobody has asked for a command
        return
    if isinstance(found, BatchDependency):
        raise InvalidDodoFile("a dodo.py may have the tasks of one batchfile, and this has those of several")
    found.__class__ = BatchDependency
    del found.remove, found.remove_all  # its own, which hide ours
    found.take(project, leave)
