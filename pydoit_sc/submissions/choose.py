"""Which runs a submission takes, and its chunks: the same for every engine that hands them to many machines.

Chunks have no order among them, but some engines start a group of chunks when the one before has ended. For the
others, a stage that comes `after` another one is left for a later submission, until every run before it is completed.
"""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydoit_sc.batch import Batch, Run, Stage, Status
from pydoit_sc.chunks.chunkfile import EXTRA, chunk_text
from pydoit_sc.fingerprint import MissingFileDepError
from pydoit_sc.plan import Ledger, Work, in_order

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
    later: list[list[Item]] = field(
        default_factory=list
    )  # group by group, those that come after the ones before
    scheduled: int = 0  # how many there were before `at_most`
    found: dict[Status, int] = field(default_factory=dict)  # how many there are; {} where nobody has looked
    waiting: dict[str, str] = field(default_factory=dict)  # stage → the one that it waits for

    @property
    def groups(self) -> list[list[Item]]:
        """All runs; a group may start when the ones before it have ended."""
        return [group for group in (self.items, *self.later) if group]


def choose(ledger: Ledger, wanted: Wanted, *, ordered: bool = False) -> Choice:
    """Choose the runs of a submission: in each stage, the seed's order where it matters how runs stand.

    A stage that comes after one with runs to execute waits for a later submission; with `ordered` it is in this one,
    in a later group, unless an earlier stage has yet to make one of its `file_dep`. Raises MissingFileDepError.
    """
    choice = Choice()
    depth: dict[str, int] = {}  # of each stage with runs to execute: how many groups are before it
    for stage in in_order(ledger.batch.stages):
        before = [name for name in stage.after if name in depth or name in choice.waiting]
        if before:
            hindered = next((name for name in before if name in choice.waiting), None)
            items = _all_items(ledger, stage) if ordered and hindered is None else None
            if items is None:
                choice.waiting[stage.name] = (ordered and hindered) or before[0]
            else:
                depth[stage.name] = 1 + max(depth[name] for name in before)
                _put(choice.later, depth[stage.name] - 1, items)
            continue
        groups = {Status.COMPLETED: list(stage.runs)} if wanted.everything else _by_status(ledger, stage)
        for status, runs in groups.items():
            if not wanted.everything:
                choice.found[status] = choice.found.get(status, 0) + len(runs)
            if _takes(wanted, status):
                choice.items += ((stage, run, ledger.fingerprint(stage, run)) for run in runs)
            if runs and (status is not Status.COMPLETED or wanted.completed):
                depth[stage.name] = 0
    choice.scheduled = len(choice.items)
    if wanted.at_most is not None:
        del choice.items[wanted.at_most :]
    return choice


def _all_items(ledger: Ledger, stage: Stage) -> list[Item] | None:
    """Return all runs of a stage; None if one depends on a file that is not there yet."""
    try:
        return [(stage, run, ledger.fingerprint(stage, run)) for run in stage.runs]
    except MissingFileDepError:
        return None


def _put(later: list[list[Item]], place: int, items: list[Item]) -> None:
    while len(later) <= place:
        later.append([])
    later[place] += items


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

    nprocs: (
        int | Literal["cores", "gpus"]
    )  # runs at once on a machine; "cores" or "gpus": as many as the machine has
    size: int  # runs in a chunk
    always: bool  # completed runs are executed again


def chunk_texts(
    batch: Batch, items: Sequence[Item], shape: Shape, submission: str, after: Sequence[str] = ()
) -> list[str]:
    """Return the texts of chunks of these runs, which come after these stages."""
    works = [
        Work(stage.task_name(run), run, f"{batch.remote_output_path}/{run.key}", fingerprint)
        for stage, run, fingerprint in items
    ]
    parts = (works[start : start + shape.size] for start in range(0, len(works), shape.size))
    return [
        chunk_text(batch, part, nprocs=shape.nprocs, submission=submission, always=shape.always, after=after)
        for part in parts
    ]


def group_texts(batch: Batch, choice: Choice, shape: Shape, submission: str) -> list[list[str]]:
    """Return the texts of a submission's chunks, group by group; in later groups each stage has its own."""
    texts = [chunk_texts(batch, choice.items, shape, submission)]
    for group in choice.later:
        stages = (list(items) for _, items in itertools.groupby(group, lambda item: item[0].name))
        texts.append(
            [
                text
                for items in stages
                for text in chunk_texts(batch, items, shape, submission, items[0][0].after)
            ]
        )
    return [group for group in texts if group]


def earlier_runs(ledger: Ledger, choice: Choice) -> dict[str, dict[str, str]]:
    """Return the fingerprints of the runs that later groups come after, by stage and key."""
    names = {name for group in choice.later for stage, _, _ in group for name in stage.after}
    return {
        stage.name: {run.key: ledger.fingerprint(stage, run) for run in stage.runs}
        for stage in ledger.batch.stages
        if stage.name in names
    }


def covers(chunks: Sequence[str], ledger: Ledger, items: Sequence[Item], shape: Shape) -> bool:
    """Return whether a submission's chunks can stay: its runs, cut again, give the same ones, and `items` are among them.

    So the chunks of a submission keep their numbers while it is executed: what it has completed is not an item of the
    next one. Raises MissingFileDepError.
    """
    batch = ledger.batch
    by_output = {f"{batch.remote_output_path}/{run.key}": (stage, run) for stage, run in batch.runs()}
    outputs = [run["remote_output_path"] for text in chunks for run in json.loads(text)["runs"]]
    if (
        not {f"{batch.remote_output_path}/{run.key}" for _, run, _ in items}
        <= set(outputs)
        <= by_output.keys()
    ):
        return False
    again = [(*by_output[output], ledger.fingerprint(*by_output[output])) for output in outputs]
    return same_plan(chunks, chunk_texts(batch, again, shape, "any"))


def same_plan(old: Sequence[str], new: Sequence[str]) -> bool:
    """Say whether two submissions' chunks differ in nothing but the ids that each has made for itself."""
    return len(old) == len(new) and all(_essence(a) == _essence(b) for a, b in zip(old, new, strict=True))


def _essence(text: str) -> object:
    data = json.loads(text)
    data[EXTRA].pop("submission", None)
    for run in data["runs"]:
        run.pop("local_results_dir", None)
    return data
