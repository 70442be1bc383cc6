"""How a submission has ended: its exit code, and why runs are left whose jobs have ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from pydoit_sc.batch import Run
from pydoit_sc.order import Causes
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.store import NoteStore
from pydoit_sc.worker.control import cancelled_among


@dataclass(frozen=True, slots=True)
class Ended:
    """How the runs of a submission have ended."""

    counts: Counts
    cancelled: str = ""  # what was cancelled of it, or why all of it was
    lost: str = ""  # what is wrong, where its job has ended before its runs

    @property
    def code(self) -> int:
        """The exit code that says so."""
        return 2 if self.lost else int(bool(self.cancelled or self.counts.failed))


class Leftover(NamedTuple):
    """Why runs are left: those that are in neither are lost."""

    cancelled: Set[str]  # their keys
    waiting: Mapping[str, str]  # by their keys that of a run that has failed, or was cancelled


def why_left(store: NoteStore, submission: str, runs: Collection[Run], failed: Set[str]) -> Leftover:
    """Return why these runs of a submission are left, given the keys of those that have failed. Raises StoreError."""
    cancelled = cancelled_among(store, submission, {run.key for run in runs}) if runs else frozenset()
    causes = Causes(failed | cancelled)
    waiting = {run.key: cause.key for run in runs if run.key not in cancelled and (cause := causes.of(run))}
    return Leftover(cancelled, waiting)
