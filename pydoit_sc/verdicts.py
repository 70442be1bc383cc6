"""The status of a run and the reason for it, from what the run depends on now and what the store has of it: pure functions.

A run is up to date if the store has status code 0 for it, published with the same fingerprint: the command, the
environment that the batchfile sets, the contents of `file_dep`, and which attempts of the runs it comes `after` had
been published. The last part is a digest of attempts, not a comparison of times, so no clock matters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydoit_sc.batch import Status
from pydoit_sc.errors import on_a_line
from pydoit_sc.fingerprint import changed_parts
from pydoit_sc.store import Live, Record

_DETAILS = 3  # of one reason, which are counted apart
_COMPLETED = Status.COMPLETED  # which the enum looks up slowly, and every run asks for several times


class Verdict(NamedTuple):
    """The status of a run, and the reason in a few words."""

    status: Status
    reason: str
    detail: str = ""  # ends the reason for this run alone: `align:s17 (failed)`
    ignored: bool = False  # the user has said so, whatever the status

    @property
    def words(self) -> str:
        """The reason, for this run, on one line."""
        return on_a_line(f"{self.reason} {self.detail}" if self.detail else self.reason)

    @property
    def execute(self) -> bool:
        """Whether the run is to be executed."""
        return self.status is not _COMPLETED and not self.ignored


def is_current(record: Record, fingerprint: str) -> bool:
    """Return whether an outcome is completed and still that of the run as it is now.

    An outcome without a fingerprint, as `sc batch` writes it, is taken as it is.
    """
    return record.code == 0 and record.fingerprint in ("", fingerprint)


UP_TO_DATE = Verdict(Status.COMPLETED, "up to date")
NEW = Verdict(Status.INCOMPLETE, "no outcome yet")
NO_CODE = Verdict(Status.INCOMPLETE, "status_code holds no status code")
FORCED = Verdict(Status.STALE, "forced")
ORPHANED = Verdict(Status.ORPHANED, "its run is no longer in the batch")

#: The reason of a stale run, by the part of its fingerprint that has changed.
CHANGED = {
    "cmd": "the command has changed",
    "env": "shell or env has changed",
    "file_dep": "a file_dep has changed",
    "after": "the earlier runs have changed",
}
#: In its place where that is so, with the run.
TO_EXECUTE = "an earlier run is to be executed:"


def judge(fingerprint: str, record: Record | None) -> Verdict:
    """Return the status of a run from its fingerprint now and what the store has of it."""
    if record is None:
        return NEW
    if record.code is None:
        return NO_CODE
    if record.code:
        return Verdict(Status.ERROR, record.failure)
    if is_current(record, fingerprint):
        return UP_TO_DATE
    parts = changed_parts(record.fingerprint, fingerprint)
    return Verdict(Status.STALE, ", ".join(CHANGED[part] for part in parts))


def waiting(verdict: Verdict, task: str, state: str) -> Verdict:
    """Return a run's verdict, given a task that it comes after, and why that is not completed: `failed`."""
    return Verdict(_left(verdict), "waits for", f"{task} ({state})")


def cancelled(verdict: Verdict) -> Verdict:
    """Return a run's verdict, given that it was taken out of its submission."""
    return Verdict(_left(verdict), "cancelled")


def _left(verdict: Verdict) -> Status:
    return Status.STALE if verdict.status in (_COMPLETED, Status.STALE) else Status.INCOMPLETE


def is_executing(live: Live | None, record: Record | None) -> bool:
    """Return whether a run executes, given the attempt that a live worker says it executes, and the run's outcome.

    A worker may not have said yet that an attempt has ended. Of what has just been published the attempt may not be known.

    >>> live = Live(host="h", folder="/attempts/w-2", since=50.0)
    >>> is_executing(live, Record(0, "w-1")), is_executing(live, Record(0, "w-2")), is_executing(live, Record(0, ended=60.0))
    (True, False, False)
    """
    if live is None or record is None:
        return live is not None
    if record.attempt:
        return record.attempt != os.path.basename(live.folder)
    return record.code != 0 or live.since > record.ended


def count(verdicts: Iterable[Verdict], of: int = 0) -> Mapping[Verdict, int]:
    """Count runs by verdict, the most frequent first; of many details of one reason a few are kept apart.

    Where there are verdicts of fewer than `of` runs, the others are up to date.
    """
    counts: dict[Verdict, int] = {}
    details: dict[Verdict, int] = {}
    for verdict in verdicts:
        counted = verdict
        if verdict.detail and verdict not in counts:
            alike = verdict._replace(detail="")
            details[alike] = details.get(alike, 0) + 1
            if details[alike] > _DETAILS:
                counted = verdict._replace(detail="others")
        counts[counted] = counts.get(counted, 0) + 1
    if (others := of - sum(counts.values())) > 0:
        counts[UP_TO_DATE] = counts.get(UP_TO_DATE, 0) + others
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
