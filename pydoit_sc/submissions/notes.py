"""What the store keeps of submissions, so that every machine can list them: one small note each.

Chunks and logs lie in `submissions/<id>/`, the note in `submitted/<id>.json`: to list submissions is to list notes,
however many chunks they have.

A submission takes its place before it is handed to its engine. Of two that do so at the same moment each sees the
other's note, since both write theirs first and look then; both draw back and try again a little later.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pydoit_sc.engines.base import Engine, EngineError, JobState, State
from pydoit_sc.proc import started_at
from pydoit_sc.retries import pauses
from pydoit_sc.store import NoteStore, Record

_FOLDER = "submitted"
_TO_HAND_OVER = 600.0  # seconds after which a submission that has no jobs is taken for given up
_TRIES = 8


class Note(BaseModel):
    """What the store keeps of a submission. Anybody may have written it: what is not exactly so is no note."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    id: Annotated[str, Field(pattern=r"^[\w-]+$", description="the submission's id")]
    engine: str = Field(description="name of the engine")
    batch: str = Field(description="name of the batch")
    when: float = Field(description="when it was submitted, in seconds since the epoch", ge=0, lt=1e11)
    host: str = Field(description="the machine that submitted it")
    pid: int = Field(description="the process that submitted it")
    user: str = Field(description="who submitted it")
    chunks: int = Field(description="number of chunks")
    runs: int = Field(description="number of runs")
    nprocs: int | str | None = Field(description="runs at once on a machine")
    scale: int | None = Field(description="machines at once")
    jobs: tuple[Annotated[str, Field(pattern="^[^-]")], ...] = Field(
        default=(), description="the engine's ids; none: it is being handed over"
    )
    ended: bool = Field(default=False, description="all its jobs were seen to have ended, or it was given up")

    @property
    def being_made(self) -> bool:
        """Whether it is just being handed to its engine, as far as can be told."""
        if self.jobs or self.ended or time.time() - self.when > _TO_HAND_OVER:
            return False
        return self.host != socket.gethostname() or bool(started_at(self.pid))

    def but(self, **changes: Any) -> Note:
        """Return a copy with changes: `note.but(ended=True)`."""
        return self.model_copy(update=changes)


def new_note(**known: Any) -> Note:
    """Return the note of a submission that this process makes now."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    return Note(when=time.time(), host=socket.gethostname(), pid=os.getpid(), user=user, **known)


def write_note(store: NoteStore, note: Note) -> None:
    """Write a submission's note in place of an older one; raises StoreError."""
    store.write_note(f"{_FOLDER}/{note.id}.json", note.model_dump_json(indent=1).encode())


def read_notes(store: NoteStore) -> list[Note]:
    """Return all submissions of a store, the oldest first; raises StoreError. What is no note is left out."""
    found = []
    for name in store.notes(_FOLDER):
        try:
            found.append(Note.model_validate_json(store.read_note(name)))
        except (FileNotFoundError, ValidationError):
            continue
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

    def count(self) -> str:
        """Return the number of jobs in each state: `2 queued, 1 running`."""
        states = [job.state for job in self.jobs.values() if job.state is not State.ENDED]
        return ", ".join(f"{states.count(state)} {state.value}" for state in State if state in states)

    def held(self) -> dict[str, str]:
        """Return why jobs are held, by job."""
        return {job: state.detail for job, state in self.jobs.items() if state.state is State.HELD}


def ask(notes: Iterable[Note], load: Callable[[str], Engine]) -> dict[str, JobStates]:
    """Ask each engine once for the jobs of these submissions; return the states by the submission's id."""
    by_engine: dict[str, list[Note]] = {}
    for note in notes:
        by_engine.setdefault(note.engine, []).append(note)
    answers: dict[str, JobStates] = {}
    for name, group in by_engine.items():
        try:
            states = load(name).poll([job for note in group for job in note.jobs])
        except (EngineError, ValueError, LookupError, TypeError) as error:  # the last three: an id is no id
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


def is_under_way(note: Note, load: Callable[[str], Engine]) -> bool:
    """Return whether a submission has not ended, as far as its engine can tell."""
    if note.ended or not note.jobs:
        return note.being_made
    return ask([note], load)[note.id].under_way


def under_way(store: NoteStore, load: Callable[[str], Engine]) -> list[Note]:
    """Return the submissions that have not ended, and mark the others as ended; raises StoreError."""
    found = [note for note in read_notes(store) if not note.ended]
    standing = ask([note for note in found if note.jobs], load)
    left = []
    for note in found:
        if (note.jobs and standing[note.id].under_way) or note.being_made:
            left.append(note)
        else:
            write_note(store, note.but(ended=True))
    return left


def claim(store: NoteStore, note: Note, load: Callable[[str], Engine]) -> list[Note]:
    """Take a submission's place in the store, and return []; or return those that are under way, which have it.

    Raises StoreError.
    """
    others: list[Note] = []
    for pause in pauses(_TRIES, first=0.3, longest=2.5):
        others = under_way(store, load)
        if others:
            if any(other.jobs for other in others):
                return others
        else:
            write_note(store, note.but(when=time.time()))
            others = [other for other in under_way(store, load) if other.id != note.id]
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
