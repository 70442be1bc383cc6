"""What the store keeps of submissions, so that every machine can list them: one small note each.

Chunks and logs lie in `submissions/<id>/`, the note in `submitted/<id>.json`: to list submissions is to list notes,
however many chunks they have.

A submission takes its place before it is handed to its engine. Of two that do so at the same moment each sees the
other's note, since both write theirs first and look then; both draw back and try again a little later.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from pydoit_sc.engines.base import Engine, EngineError, JobState, State
from pydoit_sc.store import Record, Store

_FOLDER = "submitted"
_TO_HAND_OVER = 600.0  # seconds after which a submission that has no jobs is taken for given up
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission, as its note tells."""

    id: str
    engine: str
    batch: str
    when: float  # seconds since the epoch
    host: str  # where it was submitted
    pid: int
    user: str
    chunks: int
    runs: int
    nprocs: int | str | None
    scale: int | None
    jobs: tuple[str, ...] = ()  # the engine's ids; none: it is being handed over
    ended: bool = False  # somebody has seen all its jobs ended, or it was given up

    @property
    def being_made(self) -> bool:
        """Whether it is just being handed to its engine, as far as can be told."""
        if self.jobs or self.ended or time.time() - self.when > _TO_HAND_OVER:
            return False
        return self.host != socket.gethostname() or os.path.exists(f"/proc/{self.pid}")


def new_note(**known: object) -> Submitted:
    """Return the note of a submission that this process makes now."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    return Submitted(
        when=time.time(),
        host=socket.gethostname(),
        pid=os.getpid(),
        user=user,
        **known,  # type: ignore[arg-type]
    )


def write_note(store: Store, note: Submitted) -> None:
    """Write a submission's note in place of an older one; raises StoreError."""
    store.write_note(f"{_FOLDER}/{note.id}.json", json.dumps(asdict(note), indent=1).encode())


def read_notes(store: Store) -> list[Submitted]:
    """Return all submissions of a store, the oldest first; raises StoreError. A note that is torn is left out."""
    found = []
    for name in store.notes(_FOLDER):
        try:
            data = json.loads(store.read_note(name))
            found.append(Submitted(**{**data, "jobs": tuple(data["jobs"])}))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            continue
    return sorted(found, key=lambda note: (note.when, note.id))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the jobs of a submission stand."""

    jobs: Mapping[str, JobState]
    unknown: str = ""  # why its engine could not be asked

    @property
    def under_way(self) -> bool:
        """Whether a job has not ended, or may not have."""
        return bool(self.unknown) or any(job.state is not State.ENDED for job in self.jobs.values())

    def count(self) -> str:
        """Say how many jobs stand how: `2 queued, 1 running`."""
        states = [job.state for job in self.jobs.values() if job.state is not State.ENDED]
        return ", ".join(f"{states.count(state)} {state.value}" for state in State if state in states)

    def held(self) -> dict[str, str]:
        """Return why jobs are held, by job."""
        return {job: state.detail for job, state in self.jobs.items() if state.state is State.HELD}


def ask(notes: Iterable[Submitted], load: Callable[[str], Engine]) -> dict[str, Standing]:
    """Ask the engines how submissions that have jobs stand, each engine once; by the submission's id."""
    by_engine: dict[str, list[Submitted]] = {}
    for note in notes:
        by_engine.setdefault(note.engine, []).append(note)
    answers: dict[str, Standing] = {}
    for name, group in by_engine.items():
        try:
            states = load(name).poll([job for note in group for job in note.jobs])
        except EngineError as error:
            answers.update((note.id, Standing({}, str(error))) for note in group)
            continue
        ended = JobState(State.ENDED)
        answers.update(
            (note.id, Standing({job: states.get(job, ended) for job in note.jobs})) for note in group
        )
    return answers


def under_way(store: Store, load: Callable[[str], Engine]) -> list[Submitted]:
    """Return the submissions that have not ended, and note of the others that they have; raises StoreError."""
    found = [note for note in read_notes(store) if not note.ended]
    standing = ask([note for note in found if note.jobs], load)
    left = []
    for note in found:
        if (note.jobs and standing[note.id].under_way) or note.being_made:
            left.append(note)
        else:
            write_note(store, replace(note, ended=True))
    return left


def claim(store: Store, note: Submitted, load: Callable[[str], Engine]) -> list[Submitted]:
    """Take a submission's place in the store, and return []; or return those that are under way, which have it.

    Raises StoreError.
    """
    others: list[Submitted] = []
    for attempt in range(_TRIES):
        others = under_way(store, load)
        if others:
            if any(other.jobs for other in others):
                return others
        else:
            write_note(store, replace(note, when=time.time()))
            others = [other for other in under_way(store, load) if other.id != note.id]
            if not others:
                return []
            write_note(store, replace(note, ended=True))
        time.sleep(random.uniform(0.1, 0.5) * (attempt + 1))
    return others


def outcomes(notes: Sequence[Submitted], records: Iterable[Record]) -> dict[str, tuple[int, int]]:
    """Count the runs whose outcome is a submission's: completed and failed, by its id."""
    counts = {note.id: (0, 0) for note in notes}
    for record in records:
        if record.submission in counts:
            completed, failed = counts[record.submission]
            good = record.code == 0
            counts[record.submission] = (completed + good, failed + (not good))
    return counts
