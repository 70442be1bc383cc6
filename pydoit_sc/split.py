"""Which runs a submission takes, and its chunks: the same for every engine that hands them to many machines.

The chunks of a submission have no order among them. So a stage that comes `after` another one is left for a later
submission, until every run of the stages before it is completed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydoit_sc.batch import Batch, Run, Stage, Status
from pydoit_sc.batchfile.chunk import OURS, chunk_text
from pydoit_sc.plan import Ledger, in_order

#: A run with its stage and its fingerprint.
Item = tuple[Stage, Run, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are scheduled, beside those that are incomplete or stale."""

    completed: bool
    failures: bool
    at_most: int | None = None  # runs

    @property
    def everything(self) -> bool:
        """Whether it makes no difference how runs stand."""
        return self.completed and self.failures


@dataclass(slots=True)
class Choice:
    """The runs of a submission, in their order."""

    items: list[Item] = field(default_factory=list)
    scheduled: int = 0  # how many there were before `at_most`
    found: dict[Status, int] = field(default_factory=dict)  # how many there are; {} where nobody has looked
    waiting: dict[str, str] = field(default_factory=dict)  # stage → the one that it waits for


def choose(ledger: Ledger, wanted: Wanted) -> Choice:
    """Choose the runs of a submission: in each stage, the seed's order where it matters how runs stand.

    Raises MissingFileDepError.
    """
    choice = Choice()
    busy: set[str] = set()
    for stage in in_order(ledger.batch.stages):
        before = next((name for name in stage.after if name in busy), None)
        if before is not None:
            choice.waiting[stage.name] = before
            busy.add(stage.name)
            continue
        groups = {Status.COMPLETED: list(stage.runs)} if wanted.everything else _by_status(ledger, stage)
        for status, runs in groups.items():
            if not wanted.everything:
                choice.found[status] = choice.found.get(status, 0) + len(runs)
            if _takes(wanted, status):
                choice.items += ((stage, run, ledger.fingerprint(stage, run)) for run in runs)
            if runs and (status is not Status.COMPLETED or wanted.completed):
                busy.add(stage.name)
    choice.scheduled = len(choice.items)
    if wanted.at_most is not None:
        del choice.items[wanted.at_most :]
    return choice


def _by_status(ledger: Ledger, stage: Stage) -> dict[Status, list[Run]]:
    groups: dict[Status, list[Run]] = {Status.INCOMPLETE: [], Status.ERROR: [], Status.COMPLETED: []}
    for run in stage.runs:
        status = ledger.verdict(stage, run).status
        groups[status if status in groups else Status.INCOMPLETE].append(run)
    return groups


def _takes(wanted: Wanted, status: Status) -> bool:
    return {Status.ERROR: wanted.failures, Status.COMPLETED: wanted.completed}.get(status, True)


def new_submission() -> str:
    """Return the id of a new submission: when it was made, and something that no other has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class Shape:
    """How runs are put into chunks."""

    nprocs: int  # runs at once on a machine
    size: int  # runs in a chunk
    always: bool  # completed runs are executed again


def chunk_texts(batch: Batch, items: Sequence[Item], shape: Shape, submission: str) -> list[str]:
    """Return the texts of a submission's chunks."""
    parts = (items[start : start + shape.size] for start in range(0, len(items), shape.size))
    return [
        chunk_text(batch, part, nprocs=shape.nprocs, submission=submission, always=shape.always)
        for part in parts
    ]


def same_plan(old: Sequence[str], new: Sequence[str]) -> bool:
    """Say whether two submissions' chunks differ in nothing but the ids that each has made for itself."""
    return len(old) == len(new) and all(_essence(a) == _essence(b) for a, b in zip(old, new, strict=True))


def _essence(text: str) -> object:
    data = json.loads(text)
    data[OURS].pop("submission", None)
    for run in data["runs"]:
        run.pop("local_results_dir", None)
    return data
