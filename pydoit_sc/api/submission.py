"""A submission from Python: what an engine was handed, its end, and its cancellation."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pydoit_sc.api.execution import ExecutionError
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.show.bars import make_bar
from pydoit_sc.show.progress import Progress
from pydoit_sc.submissions.cancel import cancel
from pydoit_sc.submissions.notes import is_under_way
from pydoit_sc.submissions.submit import Submitted, wait


class SubmittedBatch:
    """What `submit` has handed to an engine.

    >>> import pydoit_sc as sc
    >>> submitted = sc.load("batchfile.toml").submit(engine="local")
    >>> (submitted.runs, submitted.chunks) if submitted else None
    (1, 1)
    >>> counts = submitted.wait() if submitted else None
    >>> (counts.completed, counts.failed) if counts else None
    (0, 1)
    """

    def __init__(self, submitted: Submitted) -> None:
        self._submitted = submitted

    @property
    def id(self) -> str:
        """Its id, as `pydoit-sc submissions` lists it."""
        return self._submitted.note.id

    @property
    def engine(self) -> str:
        """The name of its engine."""
        return self._submitted.engine.name

    @property
    def runs(self) -> int:
        """The number of its runs."""
        return self._submitted.note.runs

    @property
    def chunks(self) -> int:
        """The number of its chunks."""
        return self._submitted.note.chunks

    @property
    def waiting(self) -> Sequence[str]:
        """The stages that have runs left for a later submission, since they come after runs of this one."""
        return self._submitted.waiting

    @property
    def is_under_way(self) -> bool:
        """Whether its jobs have not ended, as far as the engine says now."""
        project = self._submitted.project
        return is_under_way(project.store, self._submitted.note, project.batch)

    def wait(self, *, progress: bool = False) -> Counts:
        """Wait until all its runs have ended, and return how many have ended how; with `progress` that is printed meanwhile.

        It is cancelled where too many runs fail. An interrupt ends the waiting, not the job. Raises ExecutionError where the
        job has ended before its runs, and was not cancelled.
        """
        ended = wait(self._submitted, make_bar(sys.stdout, quiet=False) if progress else _NoShow())
        if ended.lost:
            raise ExecutionError(ended.lost, ended.counts)
        return ended.counts

    def cancel(self) -> None:
        """End its jobs; what has ended already is ignored."""
        submitted, batch = self._submitted, self._submitted.project.batch
        store, under_way = submitted.project.store, self.is_under_way
        cancel(store, submitted.engine, submitted.note, batch, is_under_way=under_way)

    def __repr__(self) -> str:
        return f"<submission {self.id} to {self.engine}: {self.runs:,} runs in {self.chunks:,} chunks>"


class _NoShow:
    """Shows nothing of a progress."""

    def update(self, progress: Progress) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Show nothing."""

    def close(self, progress: Progress) -> None:
        """Show nothing."""
