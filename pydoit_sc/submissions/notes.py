"""What the store keeps of submissions, so that every machine can list them: one small note each.

Chunks and logs lie in `submissions/<id>/`, the note in `submitted/<id>.json`: to list submissions is to list notes,
however many chunks they have.

Anybody who can write to the store may have written a note. So an id and jobs have a narrow form, a note is that of the
file it lies in, only an engine of the batchfile is asked, and that takes for its own only what it can tell to be of the
submission (engines/base.py). A note of another user is shown, but neither changed nor cancelled.

A submission takes its place before it is handed to its engine. Of two that do so at the same moment each sees the
other's note, since both write theirs first and look then; both draw back and try again a little later.
"""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from pydoit_sc.batch import Batch
from pydoit_sc.engines.base import Handed, JobState, State
from pydoit_sc.engines.registry import engine_for
from pydoit_sc.errors import UserError
from pydoit_sc.models import build
from pydoit_sc.proc import started_at
from pydoit_sc.retries import pauses
from pydoit_sc.store import NoteStore, Record, Store
from pydoit_sc.store.stamps import Host, StoredDocument, read
from pydoit_sc.submissions.folder import folder_of

_FOLDER = "submitted"
_LARGEST = 16 << 20  # bytes of a note
_TO_HAND_OVER = 600.0  # seconds after which a submission that has no jobs is taken for given up
_TRIES = 8


Id = Annotated[str, Field(pattern=r"\A[0-9A-Za-z][0-9A-Za-z_-]{0,63}\z")]
EngineName = Annotated[str, Field(pattern=r"\A[0-9A-Za-z_][0-9A-Za-z_.-]{0,63}\z")]
#: No option of a program, and no control characters; each engine knows more.
Job = Annotated[str, Field(pattern=r"\A[^\x00-\x20\x7f-\x9f-][^\x00-\x1f\x7f-\x9f]{0,1023}\z")]
Number = Annotated[int, Field(ge=0, lt=1 << 40)]


class Shipped(StoredDocument):
    """A folder of code that a submission's machines get."""

    url: str = Field(description="the URL of its archive")
    dest: str = Field(description="where it is in what they make of all such folders")


class Note(StoredDocument):
    """What the store keeps of a submission. What is not exactly so is no note."""

    id: Id = Field(description="the submission's id")
    engine: EngineName = Field(description="name of the engine")
    batch: str = Field(description="name of the batch")
    when: float = Field(description="when it was submitted, in seconds since the epoch", ge=0, lt=1e11)
    host: Host = Field(description="the machine that submitted it")
    pid: Number = Field(description="the process that submitted it")
    user: str = Field(description="who submitted it")
    chunks: Number = Field(description="number of chunks")
    runs: Number = Field(description="number of runs")
    nprocs: Number | Literal["cores", "gpus"] | None = Field(
        default=None, description="runs at once on a machine"
    )
    scale: Number | None = Field(default=None, description="machines at once")
    jobs: tuple[Job, ...] = Field(
        default=(), strict=False, description="the engine's ids; none: it is being handed over"
    )
    shipped: tuple[Shipped, ...] = Field(
        default=(),
        strict=False,
        description="the code that its machines get, where they share no file system",
    )
    start: str = Field(default="", description="the folder of that code in which its runs start")
    ended: bool = Field(default=False, description="all its jobs were seen to have ended, or it was given up")
    mine: bool = Field(
        default=True, exclude=True, description="whether the store says that this user wrote it"
    )

    @property
    def being_made(self) -> bool:
        """Whether it is just being handed to its engine, as far as can be told."""
        if self.jobs or self.ended or abs(time.time() - self.when) > _TO_HAND_OVER:
            return False
        return self.host != socket.gethostname() or bool(started_at(self.pid))

    def handed(self, batch: Batch) -> Handed:
        """Return what the engine is asked about, or told to end."""
        return Handed(self.id, batch, folder_of(batch, self.id), self.jobs)

    def but(self, **changes: Any) -> Note:
        """Return a copy with changes: `note.but(ended=True)`."""
        return self.model_copy(update=changes)


def new_note(**known: Any) -> Note:
    """Return the note of a submission that this process makes now."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    build(Note)
    return Note(when=time.time(), host=socket.gethostname(), pid=os.getpid(), user=user, **known)


def write_note(store: NoteStore, note: Note) -> None:
    """Write a submission's note in place of an older one; raises StoreError."""
    store.write_note(f"{_FOLDER}/{note.id}.json", note.to_json())


def read_notes(store: NoteStore) -> list[Note]:
    """Return all submissions of a store, the oldest first; raises StoreError. What is no note is left out."""
    found = []
    for name in store.notes(_FOLDER):
        try:
            data, owner = store.read_note_and_owner(name, _LARGEST)
        except FileNotFoundError:
            continue
        note = read(Note, data)
        if note is not None and name == f"{_FOLDER}/{note.id}.json":
            found.append(note.but(mine=owner in (None, os.geteuid())))
    return sorted(found, key=lambda note: (note.when, note.id))


@dataclass(frozen=True, slots=True)
class JobStates:
    """The states of a submission's jobs."""

    jobs: Mapping[str, JobState]
    unknown: str = ""  # why its engine could not be asked

    @property
    def under_way(self) -> bool:
        """Whether a job has not ended, or may not have."""
        return bool(self.unknown) or any(job.state is not State.ENDED for job in self.jobs.values())

    @property
    def known_under_way(self) -> bool:
        """Whether the engine says of a job that it has not ended."""
        return any(job.state not in (State.ENDED, State.UNKNOWN) for job in self.jobs.values())

    @property
    def in_doubt(self) -> bool:
        """Whether nobody says that a job has not ended, and not that all have."""
        return self.under_way and not self.known_under_way

    def count(self) -> str:
        """Return the number of jobs in each state: `2 queued, 1 running`."""
        states = [job.state for job in self.jobs.values() if job.state is not State.ENDED]
        return ", ".join(f"{states.count(state)} {state.value}" for state in State if state in states)

    def held(self) -> dict[str, str]:
        """Return why jobs, or parts of them, are held, by job."""
        return {
            job: state.held or state.detail or "the engine does not say why"
            for job, state in self.jobs.items()
            if state.held or state.state is State.HELD
        }

    def doubts(self) -> list[str]:
        """Return why the states of jobs are not known."""
        details = {job.detail for job in self.jobs.values() if job.state is State.UNKNOWN}
        return sorted(details | {self.unknown} - {""})


def ask(notes: Iterable[Note], batch: Batch) -> dict[str, JobStates]:
    """Ask each engine once for the jobs of these submissions; return the states by the submission's id."""
    by_engine: dict[str, list[Note]] = {}
    for note in notes:
        by_engine.setdefault(note.engine, []).append(note)
    answers: dict[str, JobStates] = {}
    for name, group in by_engine.items():
        try:
            states = engine_for(batch, name).poll([note.handed(batch) for note in group])
        except UserError as error:
            answers.update((note.id, JobStates({}, str(error))) for note in group)
            continue
        ended = JobState(State.ENDED)
        answers.update(
            (note.id, JobStates({job: states.get(job, ended) for job in note.jobs})) for note in group
        )
    return answers


def note_of(store: NoteStore, submission: str) -> Note | None:
    """Return the note of a submission, None if it has none; raises StoreError."""
    return next((note for note in read_notes(store) if note.id == submission), None)


def has_ended(note: Note, states: JobStates, done: tuple[int, int]) -> bool:
    """Return whether a submission has ended: all its jobs have, or what they do is in doubt and all its runs have.

    `done` is how many runs are completed and how many have failed by it.
    """
    return not states.under_way or (states.in_doubt and sum(done) >= note.runs)


def is_under_way(store: Store, note: Note, batch: Batch) -> bool:
    """Return whether a submission has not ended, as far as can be told; raises StoreError."""
    if note.ended or not note.jobs:
        return note.being_made
    return bool(_going([note], store, batch))


def _going(notes: Sequence[Note], store: Store, batch: Batch) -> set[str]:
    """Return the ids of those that have not ended; outcomes are looked for where their jobs are in doubt."""
    states = ask(notes, batch)
    doubtful = [note for note in notes if states[note.id].in_doubt]
    records = store.scan(run.key for _, run in batch.runs()) if doubtful else {}
    done = outcomes(doubtful, records.values())
    return {note.id for note in notes if not has_ended(note, states[note.id], done.get(note.id, (0, 0)))}


def under_way(store: Store, batch: Batch) -> list[Note]:
    """Return the submissions that have not ended, and mark the user's others as ended; raises StoreError."""
    found = [note for note in read_notes(store) if not note.ended]
    going = _going([note for note in found if note.jobs], store, batch)
    left = []
    for note in found:
        if note.id in going or note.being_made:
            left.append(note)
        else:
            mark_ended(store, note)
    return left


def gone_words(note: Note, batch: Batch) -> str:
    """Return what helps where nobody will ever be able to say how the jobs of a submission are."""
    words = shlex.join([*batch.words, note.id])
    return f"where that is gone for good, `pydoit-sc cancel --gone {words}` marks it as ended"


def mark_ended(store: NoteStore, note: Note) -> None:
    """Write that a submission of this user has ended; raises StoreError."""
    if note.mine:  # the store would say of another user's note, too, that this one wrote it
        write_note(store, note.but(ended=True))


def claim(store: Store, note: Note, batch: Batch) -> list[Note]:
    """Take a submission's place in the store, and return []; or return those that are under way, which have it.

    Raises StoreError.
    """
    others: list[Note] = []
    for pause in pauses(_TRIES, first=0.3, longest=2.5):
        others = under_way(store, batch)
        if others:
            if any(other.jobs for other in others):
                return others
        else:
            write_note(store, note.but(when=time.time()))
            others = [other for other in under_way(store, batch) if other.id != note.id]
            if not others:
                return []
            write_note(store, note.but(ended=True))
        time.sleep(pause)
    return others


def outcomes(notes: Sequence[Note], records: Iterable[Record]) -> dict[str, tuple[int, int]]:
    """Count the runs whose outcome is a submission's: completed and failed, by its id."""
    counts = {note.id: (0, 0) for note in notes}
    for record in records:
        if record.submission in counts:
            completed, failed = counts[record.submission]
            good = record.code == 0
            counts[record.submission] = (completed + good, failed + (not good))
    return counts
