"""What every engine can do, and the plain values that pass in and out of it.

An engine starts workers, `pydoit-sc batch CHUNK`, and nothing else: which runs are in a chunk was decided before, and
how a run ended is told by the store. So whatever an engine says of a job is shown, and no decision about a run rests
on it: an engine may call a job completed that has not run, start two workers on one chunk, or forget a job.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.errors import UserError
from pydoit_sc.programs import ProgramError, call
from pydoit_sc.sync.code import Staging
from pydoit_sc.sync.upload import Archive


class EngineError(UserError):
    """An engine could not do what it was asked to; the text says which program or service answered what."""


_ANSWER = 120.0  # seconds for a program to answer; Slurm's and kubectl try again for a while themselves


def call_program(*words: str, missing: str) -> str:
    """Return what an engine's program writes; raises EngineError, which ends with `missing` if there is no program.

    call_program("squeue", "-h", missing="the engine slurm works where Slurm's commands are installed")

    Ctrl-C is for this program alone: another one that it ended might have started a job, and not said which.
    """
    try:
        return call(*words, timeout=_ANSWER, missing=missing, apart=True)
    except ProgramError as error:
        raise EngineError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Group:
    """Chunks without an order among them; each waits for chunks of the groups before, as `Submission.after` says."""

    first: int  # the number of its first chunk
    count: int


@dataclass(frozen=True, slots=True)
class Submission:
    """What is handed to an engine: chunks by number, and what they need."""

    id: str
    batch: Batch
    texts: Sequence[str]  # the chunks
    chunks: str  # the URL of their folder, or its path on the machines: `{chunks}/{number}.json`
    groups: Sequence[Group]
    #: For each chunk the numbers of those that must have ended before it starts; None: all of the groups before.
    after: Sequence[tuple[int, ...] | None]
    scale: int | None  # machines at once; None: not given
    folder: str  # a local folder of the submission's own, for the engine's files and logs
    setup: str  # lines of shell that fetch the code and go to its folder, by sync/fetch.py; "": nothing is to be fetched
    options: Sequence[str] = ()  # words of `pydoit-sc batch` before the chunk
    archives: Sequence[Archive] = ()  # what has been staged
    end: str = ""  # a line of shell for when all chunks have ended, where the batchfile is, if the engine can; "": nothing

    def chunk(self, number: int) -> str:
        """Return the URL of a chunk."""
        return f"{self.chunks}/{number}.json"

    def behind(self, number: int) -> int:
        """Return the number below which all chunks must have ended before this one starts; 0 if it waits for none, or some.

        >>> Submission("1", None, ["", "", ""], "/c", [Group(0, 2), Group(2, 1)], [(), (), None], None, "/f", "").behind(2)
        2
        """
        if self.after[number] is not None:
            return 0
        return next(group.first for group in self.groups if number < group.first + group.count)

    def words(self, number: int) -> Sequence[str]:
        """Return the words for `pydoit-sc` with which a worker executes a chunk."""
        return ["batch", *self.options, self.chunk(number)]

    @property
    def start(self) -> str:
        """Lines of shell that end in the folder where runs start: the batchfile's, or what was fetched of it.

        They say `exit 1` where that cannot be; the worker's command follows them. A Python that has this package is
        `$pydoit_sc_python` to them, else `python3`: an engine that knows one sets that variable before.
        """
        return self.setup or f"cd -- {shlex.quote(str(self.batch.folder))} || exit 1\n"


@dataclass(frozen=True, slots=True)
class Handed:
    """A submission that an engine was handed, as its note says.

    Anybody who can write to the store may have written that. So an engine talks only to what the batchfile names, and
    ends only what it knows itself to be of this submission.
    """

    id: str
    batch: Batch
    folder: str  # as in `Submission`
    jobs: Sequence[str]


class State(str, Enum):
    """The state of a job, as its engine says."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"  # it will not start by itself
    ENDED = "ended"  # or its engine does not know it (any more)
    UNKNOWN = "unknown"  # it cannot be asked about from here, as `detail` says


@dataclass(frozen=True, slots=True)
class JobState:
    """What an engine says of a job; `detail` is in its own words, for people."""

    state: State
    detail: str = ""
    held: str = ""  # why it, or a part of it, will not start by itself


def check_reached(states: Mapping[str, JobState]) -> None:
    """Raise EngineError if one of these jobs cannot be asked about, and so not be ended, from here."""
    why = next((state.detail for state in states.values() if state.state is State.UNKNOWN), "")
    if why:
        raise EngineError(f"it cannot be ended from here: {why}")


class Engine(Protocol):
    """Starts workers somewhere. An id of a job is a string that means something to this engine alone.

    Every method raises EngineError.
    """

    name: str
    ordered: bool  # whether it starts chunks when those that they wait for have ended; else a submission has one group

    @property
    def table(self) -> type[Table]:
        """The model of the engine's table in a batchfile, which has the engine's name."""

    def nprocs(self, batch: Batch) -> int | None:
        """Return how many runs a machine will execute at once, None if only the machine knows: for the chunks' size."""

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Return the texts of the engine's own files (a job script, a manifest) by name; nothing is started."""

    def submit(self, submission: Submission) -> Sequence[str]:
        """Start a submission whose chunks are in the store and whose files are in its folder; return its jobs' ids.

        Where it fails, nothing of it goes on.
        """

    def poll(self, handed: Sequence[Handed]) -> Mapping[str, JobState]:
        """Return the states of these submissions' jobs, asked for at once.

        A job that is missing in the answer has ended: also what cannot be the id of a job of theirs. One that another
        machine, or another batchfile, could ask about is UNKNOWN: it may be executing.
        """

    def cancel(self, handed: Handed) -> None:
        """End the jobs of a submission; finished jobs are ignored, and so is what is not of this submission.

        Raises EngineError where it has a job that is UNKNOWN.
        """

    def hints(self, handed: Handed) -> Mapping[str, str]:
        """Return commands that tell people more of a submission's jobs, by what they show."""


@runtime_checkable
class Limited(Engine, Protocol):
    """An engine whose jobs may be ended after some time."""

    def limit(self, batch: Batch) -> float | None:
        """Return for how many seconds a job of the batch executes runs, None if there is no limit."""


@runtime_checkable
class Hosted(Engine, Protocol):
    """An engine whose machines do not read the store for their chunks: chunks and code come to them as archives.

    Its job stays there between two submissions: it is created or updated first, and then started.
    """

    def staging(self, batch: Batch) -> Staging:
        """Return which folders are sent, and where the archives lie; nothing is sent yet."""

    def chunks_folder(self, batch: Batch, submission: str) -> str:
        """Return the absolute path at which the machines have a submission's chunks."""

    def commands_folder(self, batch: Batch) -> str | None:
        """Return the local folder in which `split` writes, None if the batchfile names none."""

    def starts(self, batch: Batch) -> bool:
        """Return whether `doit apply` starts the job, as `submit` does."""

    def update(self, submission: Submission) -> None:
        """Create or update the job without starting it."""
