"""What is selected and executed: of doit an ExecNode; of a stage that is streamed, the stage and each of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from doit.control import ExecNode

from pydoit_sc.batch import Run, Stage
from pydoit_sc.tasks.tasks import RunTask


@dataclass(slots=True, eq=False, repr=False)
class RunNode:
    """What doit's ExecNode says of a run that is selected; its task is made when it is asked for."""

    pattern: RunTask  # a task of the same stage
    run: Run
    run_status: str | None = None

    @property
    def task(self) -> RunTask:
        """The task of the run."""
        return self.pattern.sibling(self.run)


Node: TypeAlias = ExecNode | RunNode


@dataclass(slots=True, eq=False, repr=False)
class OpenStage:
    """A stage whose runs are executed."""

    stage: Stage
    pattern: RunTask  # a task that those of the runs are made from
    todo: Sequence[Run]
    #: Runs without a result, and one for the stage itself until it has started those that do not wait.
    left: int
    node: ExecNode | None = None  # of the stage, when doit has come to it
    failed: bool = False
