"""Chunks as doit tasks: `doit chunk:3` executes a chunk here, in a worker of its own.

`doit -n 2 chunk` executes two chunks at a time, by doit's parallel runner; each worker has ranks of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from threading import Lock
from typing import Any, TextIO

from doit.action import BaseAction
from doit.control import ExecNode
from doit.exceptions import BaseFail, TaskError, TaskFailed
from doit.runner import MThreadRunner
from doit.task import Task

from pydoit_sc.engines.leash import on_leash
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.tasks.errors import user_errors
from pydoit_sc.tasks.tasks import CHUNK

#: The tasks that write the chunks: all of one split, or `chunk:3` would be another chunk the next time.
SPLIT = "split:chunks"


class ChunkIsCurrent:
    """The up-to-date check of a chunk: all its runs are completed in the store. Its text is for `doit info`."""

    def __init__(self, project: Project, path: str) -> None:
        self._project, self._path = project, path

    @user_errors()
    def _to_execute(self) -> tuple[int, int]:
        """Return the number of runs to execute, and of all runs."""
        from pydoit_sc.chunks.read import read_chunk  # noqa: PLC0415 - `run` has no chunks, mostly

        chunk, records = read_chunk(self._path), self._project.ledger.records
        count = sum(not chunk.completed(work.fingerprint, records.get(work.run.key)) for work in chunk.works)
        return count, len(chunk.works)

    def __call__(self) -> bool:
        return os.path.exists(self._path) and not self._to_execute()[0]

    def __repr__(self) -> str:
        if not os.path.exists(self._path):
            return f"{self._path} is to be written by `split`"
        count, total = self._to_execute()
        return f"{count:,} of {total:,} runs to execute"


class _Worker(BaseAction):  # type: ignore[misc]
    """Executes a chunk in a process of its own; what it writes is shown with the name of the task before each line."""

    def __init__(self, path: str) -> None:
        self.task: Task = None  # set by doit
        self.out = self.err = self.result = ""
        self.values: dict[str, Any] = {}
        self._path = path

    def execute(self, out: TextIO | None = None, err: TextIO | None = None) -> BaseFail | None:  # noqa: ARG002
        """Execute the chunk; return the failure, as doit's actions do."""
        with subprocess.Popen(
            on_leash(sys.executable, "-m", "pydoit_sc", "batch", "--strict", self._path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the worker once: as SIGTERM, when doit has ended
        ) as process:
            for line in process.stdout or ():
                if out is not None:
                    out.write(f"{self.task.name}: {line}")
                    out.flush()
        if process.returncode == 0:
            return None
        if process.returncode == 1:
            return TaskFailed(f"{self._path}: not all runs are completed")
        return TaskError(f"{self._path}: the worker has ended with exit code {process.returncode}")

    def __str__(self) -> str:
        return f"pydoit-sc batch --strict {self._path}"


class ChunkTask(Task):  # type: ignore[misc]
    """A chunk as a doit task."""

    def __init__(self, project: Project, number: int, path: str) -> None:
        super().__init__(
            f"{CHUNK}:{number}",
            [_Worker(path)],
            uptodate=[ChunkIsCurrent(project, path)],
            task_dep=[SPLIT],
            subtask_of=CHUNK,
            doc=f"execute {path} here",
            verbosity=2,
        )


def chunk_tasks(project: Project, paths: Sequence[str]) -> Iterator[Task]:
    """Yield the group `chunk`, and the task of each chunk file."""
    tasks = [ChunkTask(project, number, path) for number, path in enumerate(paths)]
    doc = f"execute the chunks here, {counted(len(tasks), 'worker')}"
    yield Task(CHUNK, None, task_dep=[task.name for task in tasks], has_subtask=True, doc=doc)
    yield from tasks


class ChunkRunner(MThreadRunner):  # type: ignore[misc]
    """doit's parallel runner for chunks; the steps that write and send them are executed one at a time.

    Those are Python, whose output doit captures by replacing sys.stdout for the whole process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._one_step = Lock()

    def select_task(self, node: ExecNode, tasks_dict: dict[str, Task]) -> bool:
        """Return whether a task is to be executed; a failed chunk fails its group without a message of its own."""
        if node.task.name == CHUNK and node.bad_deps:
            node.run_status = "failure"
            return False
        selected: bool = super().select_task(node, tasks_dict)
        return selected

    def execute_task(self, task: Task) -> BaseFail | None:
        """Execute a task."""
        with nullcontext() if isinstance(task, ChunkTask) else self._one_step:
            failure: BaseFail | None = super().execute_task(task)
        return failure
