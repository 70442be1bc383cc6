"""What every engine can do, and the plain values that pass in and out of it.

An engine starts workers, `pydoit-sc batch CHUNK`, and nothing else: which runs are in a chunk was decided before, and
how a run ended is told by the store. So whatever an engine says of a job is shown, and no decision about a run rests
on it: an engine may call a job completed that has not run, start two workers on one chunk, or forget a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from pydoit_sc.batch import Batch
from pydoit_sc.errors import UserError


class EngineError(UserError):
    """An engine could not do what it was asked to; the text says which program or service answered what."""


@dataclass(frozen=True, slots=True)
class Group:
    """Chunks without an order among them, which start when every chunk of the group before has ended."""

    first: int  # the number of its first chunk
    count: int


@dataclass(frozen=True, slots=True)
class Submission:
    """What is handed to an engine: chunks that are in the store, by number, and what they need."""

    id: str
    batch: Batch
    chunks: str  # the URL or path of the folder of the chunks: `{chunks}/{number}.json`
    groups: Sequence[Group]
    nprocs: int | None  # runs at once on a machine; None: as many as the worker is given cores or GPUs
    scale: int  # machines at once
    folder: str  # a local folder of the submission's own, for the engine's files and logs; made by `submit`
    setup: str  # lines of shell that a worker's machine executes first, to fetch the code; "" where there are none

    @property
    def table(self) -> Mapping[str, Any]:
        """The batchfile's tables of the engines, by name."""
        return self.batch.engines

    def chunk(self, number: int) -> str:
        """Return the URL or path of a chunk."""
        return f"{self.chunks}/{number}.json"


class State(str, Enum):
    """How a job stands, as its engine says."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"  # it will not start by itself
    ENDED = "ended"  # or not known (any more)


@dataclass(frozen=True, slots=True)
class JobState:
    """What an engine says of a job; `detail` is in its own words, for people."""

    state: State
    detail: str = ""


class Engine(Protocol):
    """Starts workers somewhere. An id of a job is a string that means something to this engine alone.

    Every method but `prepare` raises EngineError.
    """

    name: str

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Return the texts of the engine's own files (a job script, a manifest) by name; a pure function."""

    def submit(self, submission: Submission) -> Sequence[str]:
        """Start a submission whose files lie in its folder, and return the ids of its jobs."""

    def poll(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Return how each of many jobs stands: asked at once, not one by one."""

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs; those that have ended already are no error."""
