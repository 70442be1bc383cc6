"""The next submission as doit tasks, for every engine: `doit split` writes it, `doit apply` hands it over.

`split` has the tasks `split:chunks` and `recipe`, which is the engine's recipe, script or manifest. `sync` sends the
folders that the machines fetch. `chunk:0`, `chunk:1`, … execute the chunks here (chunk.py). They are made when they
are asked for by name: the chunks come from the plan, which looks at the store.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from doit.exceptions import TaskError
from doit.task import Task

from pydoit_sc.engines.base import Engine, Hosted
from pydoit_sc.engines.registry import engine_of, load_engine
from pydoit_sc.errors import UserError
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.submissions.choose import Wanted, choose
from pydoit_sc.submissions.cut import covers, same_plan
from pydoit_sc.submissions.draft import Draft, Ready, commands_folder, make_draft, shape_of
from pydoit_sc.submissions.folder import (
    check_folder,
    chunk_name,
    present,
    says,
    write_chunks,
    write_files,
)
from pydoit_sc.submissions.handover import hand_over
from pydoit_sc.submissions.notes import is_under_way, note_of
from pydoit_sc.sync.upload import Archive
from pydoit_sc.tasks.chunk import SPLIT, chunk_tasks

Values = Mapping[str, Any]  # what a task has remembered


def submission_tasks(project: Project, *, keep: bool = False) -> list[Task]:
    """Return the tasks of the next submission, or with `keep` of the one that is executed now; raises UserError."""
    steps = _Steps(project, keep=keep)
    count, syncs = len(steps.draft.texts), steps.draft.staging.syncs
    folders = [
        _task(f"sync:{n}", f"{sync.source} to {sync.dest}", *steps.folder_step(n), group="sync")
        for n, sync in enumerate(syncs)
    ]
    if count and isinstance(steps.engine, Hosted):
        folders.append(_task("sync:chunks", "the chunks", steps.chunks_sent, steps.send_chunks, group="sync"))
    staged = [task.name for task in folders]
    many = counted(count, "chunk")
    return [
        _group("sync", staged, "code and chunks to where the machines fetch them"),
        _group("split", [SPLIT, "recipe"], f"{many} and what the engine {steps.engine.name} needs"),
        *folders,
        _task(SPLIT, many, steps.chunks_written, steps.write_chunks, group="split"),
        *chunk_tasks(project, [os.path.join(steps.folder, chunk_name(n)) for n in range(count)]),
        _task("recipe", steps.folder, steps.files_written, steps.write_files, [SPLIT, *staged]),
        _task("apply", f"hand over to {steps.engine.name}", steps.handed_over, steps.hand_over, ["recipe"]),
    ]


class _Steps:
    """What the tasks do together: one submission. For each step: whether it is done, and doing it."""

    def __init__(self, project: Project, *, keep: bool) -> None:
        batch, ledger = project.batch, project.ledger
        self.project = project
        self.engine: Engine = engine_of(batch) or load_engine("local")
        self.folder = commands_folder(self.engine, batch)
        choice = choose(ledger, Wanted(completed=False, failures=True), batch.stages)
        shape = shape_of(self.engine, batch, always=False)
        self.draft: Draft = make_draft(self.engine, ledger, choice, shape)
        found = present(self.folder)
        if found and (
            (keep and covers(found[1], ledger, choice.works, shape))
            or (same_plan(found[1], self.draft.texts) and not self._is_over(found[0]))
        ):
            self.draft = self.draft.keeping(*found)
        check_folder(self.folder, len(self.draft.texts), batch.files)
        if self.engine.name == "saturn":
            from pydoit_sc.engines.saturn import RECIPE  # noqa: PLC0415 - other engines need no Saturn Cloud
            from pydoit_sc.saturn.job import check_written  # noqa: PLC0415

            check_written(os.path.join(self.folder, RECIPE), batch)
        self._folders: dict[int, Archive] = {}

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to execute."""
        return not self.draft.choice.works

    def _is_over(self, submission: str) -> bool:
        """Return whether a submission was handed over and has ended: what it has left is for another one."""
        note = note_of(self.project.store, submission)
        return note is not None and not is_under_way(self.project.store, note, self.project.batch)

    def folder_step(self, number: int) -> tuple[Callable[[Values], bool], Callable[[], None]]:
        """Return the two halves of sending one folder."""
        sync = self.draft.staging.syncs[number]

        def sent(_: Values) -> bool:
            found = self.draft.staging.find(sync)
            if found is not None:
                self._folders[number] = found
            return found is not None

        def send() -> None:
            print(f"synced {sync.source} to {self._archive(number).url}")

        return sent, send

    def _archive(self, number: int) -> Archive:
        if number not in self._folders:
            self._folders[number] = self.draft.staging.stage(self.draft.staging.syncs[number])
        return self._folders[number]

    @cached_property
    def _chunks(self) -> Archive:
        return self.draft.stage_chunks()

    def chunks_sent(self, _: Values) -> bool:
        return not self._chunks.uploaded

    def send_chunks(self) -> None:
        print(f"synced {len(self.draft.texts)} chunks to {self._chunks.url}")

    def chunks_written(self, _: Values) -> bool:
        found = present(self.folder)
        return self.nothing or (found is not None and found[1] == list(self.draft.texts))

    def write_chunks(self) -> None:
        write_chunks(self.folder, self.draft.texts)

    @cached_property
    def ready(self) -> Ready:
        """The submission with the engine's files."""
        archives = [self._archive(number) for number in range(len(self.draft.staging.syncs))]
        return self.draft.ready([*archives, self._chunks] if isinstance(self.engine, Hosted) else archives)

    def files_written(self, _: Values) -> bool:
        return self.nothing or says(self.folder, self.ready.files)

    def write_files(self) -> None:
        write_files(self.folder, self.ready.files)

    def handed_over(self, values: Values) -> bool:
        if self.nothing:
            return True
        if isinstance(self.engine, Hosted) and not self.engine.starts(self.project.batch):
            return bool(values.get("applied") == self._digest())
        note = note_of(self.project.store, self.draft.id)
        return note is not None and is_under_way(self.project.store, note, self.project.batch)

    def hand_over(self) -> dict[str, str] | None:
        if self.nothing:
            print("nothing to execute")
            return None
        if isinstance(self.engine, Hosted) and not self.engine.starts(self.project.batch):
            self.engine.update(self.ready.submission)
            return {"applied": self._digest()}
        note = hand_over(self.project.store, self.engine, self.ready)
        print(f"submitted {note.id} to {note.engine}")
        return None

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(dict(self.ready.files)).encode()).hexdigest()


def _group(name: str, members: list[str], doc: str) -> Task:
    return Task(name, None, task_dep=members, has_subtask=True, doc=doc)


def _task(  # noqa: PLR0913, PLR0917 (each is a key of doit's)
    name: str,
    doc: str,
    done: Callable[[Values], bool],
    do: Callable[[], dict[str, str] | None],
    task_dep: Sequence[str] = (),
    group: str = "",
) -> Task:
    def uptodate(task: Task, values: Values) -> bool:  # noqa: ARG001 (doit tells arguments by their names)
        return done(values)

    def action() -> Any:
        try:
            return do()
        except UserError as error:
            return TaskError(str(error))  # a message without a traceback

    return Task(
        name,
        [action],
        uptodate=[uptodate],
        task_dep=list(task_dep),
        subtask_of=group or None,
        doc=doc,
        verbosity=2,
    )
