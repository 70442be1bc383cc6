"""Saturn Cloud as doit tasks: `sync`, `split`, `recipe`, `apply`; `doit apply` does what has not been done.

They are made when they are asked for by name: the chunks come from the plan, which takes a look at the store.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

from doit.exceptions import TaskError
from doit.task import Task

from pydoit_sc.errors import UserError
from pydoit_sc.project import Project
from pydoit_sc.saturn import commands
from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.errors import RecipeError
from pydoit_sc.saturn.job import (
    ACTIVE,
    Submission,
    apply,
    assemble,
    check_idle,
    connect,
    status_of,
    unless_changed,
    wishes_of,
)
from pydoit_sc.saturn.models import Recipe
from pydoit_sc.submissions.choose import Wanted
from pydoit_sc.sync.upload import Archive
from pydoit_sc.tasks.chunk import SPLIT, chunk_tasks


def saturn_tasks(project: Project, *, keep: bool = False) -> list[Task]:
    """Return the tasks of the next submission, or with `keep` of the one that is executed now; raises UserError."""
    work = _Work(project, keep=keep)
    count, syncs = len(work.submission.chunks), len(work.submission.syncs)
    local = work.submission.wishes.local
    chunks = [f"split:{n}" for n in range(count)]
    folders = [f"sync:{n}" for n in range(syncs)]
    staged = [*folders, *(["sync:chunks"] if count else [])]
    tasks = [_task(f"split:{n}", _ChunkStep(work, n), f"chunk {n}", group="split") for n in range(count)]
    for n, sync in enumerate(work.submission.syncs):
        doc = f"{sync.source} to {sync.dest}"
        tasks.append(_task(f"sync:{n}", _FolderStep(work, n), doc, group="sync"))
    if count:
        tasks.append(_task("sync:chunks", _CommandsStep(work), "the chunks", group="sync"))
    return [
        _group("sync", staged, "code and chunks to where the machines fetch them"),
        _group("split", [*chunks, "recipe"], f"{count:,} chunk{'s' * (count != 1)} and a recipe"),
        *tasks,
        Task(SPLIT, None, task_dep=chunks, has_subtask=True, subtask_of="split", doc="all chunks"),
        *chunk_tasks(project, [os.path.join(local, commands.chunk_name(n)) for n in range(count)]),
        _task("recipe", _RecipeStep(work), work.submission.recipe_file, [*chunks, *staged]),
        _task("apply", _ApplyStep(work), "the job in Saturn Cloud", ["recipe"]),
    ]


class _Work:
    """What the tasks do together: one submission."""

    def __init__(self, project: Project, *, keep: bool) -> None:
        wanted = Wanted(completed=False, failures=True)
        wishes = wishes_of(project.batch)
        self.choice, new = assemble(project.ledger, wanted, wishes, lambda _: None, keep=keep)
        self.submission: Submission = unless_changed(new)
        self.staged: dict[int, Archive] = {}  # the user's folders
        self._commands: Archive | None = None
        self._base_url = ""

    @property
    def base_url(self) -> str:
        if not self._base_url:
            self._base_url = self.submission.base_url()
        return self._base_url

    def folder(self, number: int) -> Archive:
        """Return where one of the user's folders is staged; stage it if it is not."""
        if number not in self.staged:
            self.staged[number] = self.submission.stage(self.submission.syncs[number], self.base_url)
        return self.staged[number]

    def commands(self) -> Archive:
        """Return where the chunks are staged; stage them if they are not."""
        if self._commands is None:
            self._commands = self.submission.stage_commands(self.base_url)
        return self._commands

    def finished(self) -> Recipe:
        """Return the recipe of the job."""
        folders = [self.folder(number) for number in range(len(self.submission.syncs))]
        return self.submission.finished([*folders, self.commands()])


class _Step:
    """A task's work: whether it has been done, and doing it."""

    def __init__(self, work: _Work) -> None:
        self.work = work

    def done(self, values: dict[str, Any]) -> bool:
        """Say whether there is nothing to do; `values` is what the task has remembered."""
        raise NotImplementedError

    def do(self) -> dict[str, Any] | None:
        """Do it, and return what is to be remembered."""
        raise NotImplementedError


class _ChunkStep(_Step):
    def __init__(self, work: _Work, number: int) -> None:
        super().__init__(work)
        self._number, self._text = number, work.submission.chunks[number]

    def done(self, values: dict[str, Any]) -> bool:  # noqa: ARG002
        return commands.says(self.work.submission.wishes.local, self._number, self._text)

    def do(self) -> None:
        commands.write_chunk(self.work.submission.wishes.local, self._number, self._text)


class _FolderStep(_Step):
    def __init__(self, work: _Work, number: int) -> None:
        super().__init__(work)
        self._number, self._sync = number, work.submission.syncs[number]

    def done(self, values: dict[str, Any]) -> bool:  # noqa: ARG002
        found = self.work.submission.find(self._sync, self.work.base_url)
        if found is not None:
            self.work.staged[self._number] = found
        return found is not None

    def do(self) -> None:
        print(f"synced {self._sync.source} to {self.work.folder(self._number).url}")


class _CommandsStep(_Step):
    def done(self, values: dict[str, Any]) -> bool:  # noqa: ARG002
        return not self.work.commands().uploaded

    def do(self) -> None:
        print(f"synced {len(self.work.submission.chunks)} chunks to {self.work.commands().url}")


class _RecipeStep(_Step):
    def done(self, values: dict[str, Any]) -> bool:  # noqa: ARG002
        if not self.work.choice.items:
            return True
        try:
            return recipes.read(self.work.submission.recipe_file) == self.work.finished()
        except RecipeError:
            return False

    def do(self) -> None:
        submission = self.work.submission
        if self.work.choice.items:
            commands.remove_older(submission.wishes.local, len(submission.chunks))
            recipes.write(self.work.finished(), submission.recipe_file)


class _ApplyStep(_Step):
    def done(self, values: dict[str, Any]) -> bool:
        if not self.work.choice.items:
            return True
        recipe = self.work.finished()
        if values.get("applied") != _digest(recipe):
            return False
        if not self.work.submission.wishes.start:
            return True
        with connect() as client:
            return status_of(client, recipe) in ACTIVE

    def do(self) -> dict[str, Any] | None:
        if not self.work.choice.items:
            print("nothing to execute")
            return None
        recipe = self.work.finished()
        if self.work.submission.wishes.start:
            check_idle(recipe)
        apply(recipe, print, start=self.work.submission.wishes.start)
        return {"applied": _digest(recipe)}


def _digest(recipe: Recipe) -> str:
    return hashlib.blake2b(recipes.dumps(recipe).encode(), digest_size=16).hexdigest()


def _group(name: str, members: list[str], doc: str) -> Task:
    return Task(name, None, task_dep=members, has_subtask=True, doc=doc)


def _task(name: str, step: _Step, doc: str, task_dep: list[str] | None = None, group: str = "") -> Task:
    return Task(
        name,
        [_told(step.do)],
        uptodate=[_check(step)],
        task_dep=task_dep or [],
        subtask_of=group or None,
        doc=doc,
        verbosity=2,
    )


def _check(step: _Step) -> Callable[[Task, dict[str, Any]], bool]:
    """Return a check in the form that doit calls, which tells arguments by their names."""

    def uptodate(task: Task, values: dict[str, Any]) -> bool:  # noqa: ARG001
        return step.done(values)

    return uptodate


def _told(do: Callable[[], Any]) -> Callable[[], Any]:
    """Make a user's mistakes messages without a traceback."""

    def action() -> Any:
        try:
            return do()
        except UserError as error:
            return TaskError(str(error))

    return action
