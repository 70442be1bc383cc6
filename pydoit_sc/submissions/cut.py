"""Cut chosen runs into chunks, and compare chunks with those of an earlier split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydoit_sc.batch import Batch
from pydoit_sc.chunks.chunkfile import EXTRA, chunk_text
from pydoit_sc.plan import Ledger, Work
from pydoit_sc.submissions.choose import Choice, Part


@dataclass(frozen=True, slots=True)
class Shape:
    """How runs are put into chunks."""

    nprocs: int | Literal["cores", "gpus"]  # runs at once; "cores" or "gpus": as many as the machine has
    size: int  # runs in a chunk
    always: bool  # completed runs are executed again


def cut(batch: Batch, choice: Choice, shape: Shape, submission: str) -> list[list[str]]:
    """Return the texts of a submission's chunks, group by group."""
    return [
        [text for part in group for text in _texts(batch, part, shape, submission)] for group in choice.groups
    ]


def _texts(batch: Batch, part: Part, shape: Shape, submission: str) -> list[str]:
    return [
        chunk_text(
            batch,
            part.works[start : start + shape.size],
            nprocs=shape.nprocs,
            submission=submission,
            always=shape.always,
            after=part.after,
        )
        for start in range(0, len(part.works), shape.size)
    ]


def covers(chunks: Sequence[str], ledger: Ledger, works: Sequence[Work], shape: Shape) -> bool:
    """Return whether chunks can stay: their runs, cut again, give the same chunks, and `works` are among them.

    So the chunks of a submission keep their numbers while it is executed, although what is completed is not chosen
    again. Raises MissingFileDepError.
    """
    batch = ledger.batch
    known = {f"{batch.remote_output_path}/{run.key}": (stage, run) for stage, run in batch.runs()}
    outputs = [run["remote_output_path"] for text in chunks for run in json.loads(text)["runs"]]
    if not {work.output for work in works} <= set(outputs) <= known.keys():
        return False
    again = Part([ledger.work(*known[output]) for output in outputs])
    return same_plan(chunks, _texts(batch, again, shape, "any"))


def same_plan(old: Sequence[str], new: Sequence[str]) -> bool:
    """Return whether two submissions' chunks differ in nothing but the ids that each has made for itself."""
    return len(old) == len(new) and all(_essence(a) == _essence(b) for a, b in zip(old, new, strict=True))


def _essence(text: str) -> object:
    data = json.loads(text)
    data[EXTRA].pop("submission", None)
    for run in data["runs"]:
        run.pop("local_results_dir", None)
    return data
