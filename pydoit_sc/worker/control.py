"""What a user orders workers to do meanwhile: how many runs at once, and to start no further ones, or not some of them.

An order is a small note in the store: one for the workers of `run`, one for those of each submission. A worker reads it
from time to time, on a thread, and never for a run. The note of an earlier `run` stays, so a worker of `run` heeds what
was ordered since it looked first; one of a submission heeds all that was ordered for its submission. The keys of
cancelled runs are in a note of their own, which is read when the order says that it is new.

Anybody who can write to the store may have written a note. So its numbers are bounded, and where the store knows users,
a worker heeds its own user alone.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import NamedTuple

from pydantic import Field

from pydoit_sc.batch import MOST_AT_ONCE
from pydoit_sc.plurals import counted
from pydoit_sc.store import NoteStore, Store, StoreError
from pydoit_sc.store.notes import UNKNOWN
from pydoit_sc.store.stamps import StoredDocument, read
from pydoit_sc.threads import aside

EVERY, EVERY_REQUEST = 1.0, 15.0  # seconds between two looks at a file system, and at an object store
_LARGEST, _LARGEST_CANCELLED = 4096, 64 << 20  # bytes of the notes


class Steering(NamedTuple):
    """What a worker is to do."""

    nprocs: int | None = None  # runs at once; None: as at its start
    paused: bool = False  # no further run starts
    foreign: bool = False  # another user has ordered something, which does not count
    cancelled: frozenset[str] = frozenset()  # keys of runs that are not started
    #: False before the first look: a submission that is paused stays so when its next worker starts.
    known: bool = True

    @property
    def lets_start(self) -> bool:
        """Whether further runs may start."""
        return self.known and not self.paused

    def news(self, before: Steering, count: int) -> Iterator[str]:
        """Yield what is new since another order, now that `count` runs execute at once."""
        if self.nprocs != before.nprocs:
            yield f"{counted(count, 'run')} at once from now on, as `scale` says"
        if self.paused != before.paused:
            yield "paused: no further run starts; `pydoit-sc resume` ends that" if self.paused else "resumed"
        if new := self.cancelled - before.cancelled:
            yield f"{counted(len(new), 'run')} of this submission {'are' if len(new) != 1 else 'is'} cancelled"
        if self.foreign and not before.foreign:
            yield "another user's order to scale or to pause is not heeded"


class SteeringNote(StoredDocument):
    """What was ordered last. Each half is known by its time, on the clock of the machine where it was given."""

    nprocs: int | None = Field(default=None, ge=1, le=MOST_AT_ONCE, description="runs at once of each worker")
    scaled: float = Field(default=0.0, description="when that was ordered, in seconds since the epoch")
    paused: bool = Field(default=False, description="no further run starts")
    pausing: float = Field(default=0.0, description="when that was ordered, or its end")
    cancelling: float = Field(default=0.0, description="when runs were cancelled")
    cancelled: bool = Field(
        default=False, description="the submission was cancelled as a whole, which its engine does"
    )

    def since(self, first: SteeringNote) -> Steering:
        """Return what was ordered after another note."""
        return Steering(
            self.nprocs if self.scaled != first.scaled else None,
            self.paused and self.pausing != first.pausing,
        )


_NOTHING = SteeringNote.model_construct()


def _note_name(submission: str) -> str:
    return f"submissions/{submission}/control.json" if submission else "control.json"


def is_paused(store: NoteStore, submission: str) -> bool:
    """Return whether the workers of a submission are to start no further run. Raises StoreError."""
    return _read(store, submission)[0].paused


def _read(store: NoteStore, submission: str) -> tuple[SteeringNote, bool]:
    """Return what this user has ordered last, and whether the note is another user's."""
    try:
        data, owner = store.read_note_and_owner(_note_name(submission), _LARGEST)
    except FileNotFoundError:
        return _NOTHING, False
    if not _is_mine(owner):
        return _NOTHING, True
    return read(SteeringNote, data) or _NOTHING, False


def _is_mine(owner: int | None) -> bool:
    """Return whether this user may have written a note: also where he lets others write to it, so that no order is lost."""
    return owner in (None, UNKNOWN, os.geteuid())


def read_cancelled(store: NoteStore, submission: str) -> frozenset[str]:
    """Return the keys of the runs of a submission that this user has cancelled; raises StoreError."""
    try:
        data, owner = store.read_note_and_owner(_cancelled_name(submission), _LARGEST_CANCELLED)
        found = json.loads(data)
    except (FileNotFoundError, ValueError, RecursionError):
        return frozenset()
    sound = _is_mine(owner) and isinstance(found, list)
    return frozenset(key for key in found if isinstance(key, str)) if sound else frozenset()


def cancelled_among(store: NoteStore, submission: str, keys: Set[str]) -> Set[str]:
    """Return those of a submission's runs that this user has cancelled: all where he cancelled it as a whole.

    Raises StoreError.
    """
    return keys if _read(store, submission)[0].cancelled else keys & read_cancelled(store, submission)


def _cancelled_name(submission: str) -> str:
    return f"submissions/{submission}/cancelled.json"


def cancel_runs(store: NoteStore, submission: str, keys: Iterable[str]) -> None:
    """Have the workers of a submission start these runs no more, beside those that are cancelled. Raises StoreError."""
    cancelled = sorted(read_cancelled(store, submission).union(keys))
    data = json.dumps(cancelled).encode()
    if len(data) > _LARGEST_CANCELLED:
        raise StoreError(
            f"{len(cancelled):,} cancelled runs are too many for a note: cancel the submission as a whole"
        )
    store.write_note(_cancelled_name(submission), data)
    _change_order(store, submission, {"cancelling": time.time()})


def cancel_all(store: NoteStore, submission: str, *, withdrawn: bool = False) -> None:
    """Note that a submission is cancelled as a whole, or with `withdrawn` that it is not. Raises StoreError."""
    _change_order(store, submission, {"cancelled": not withdrawn})


def give_order(
    store: NoteStore, submission: str, *, nprocs: int | None = None, paused: bool | None = None
) -> None:
    """Steer the workers of a submission, or with "" those of `run`; what is not given stays. Raises StoreError."""
    now = time.time()
    changes: dict[str, object] = {}
    if nprocs is not None:
        changes |= {"nprocs": nprocs, "scaled": now}
    if paused is not None:
        changes |= {"paused": paused, "pausing": now}
    _change_order(store, submission, changes)


def _change_order(store: NoteStore, submission: str, changes: Mapping[str, object]) -> None:
    known = _read(store, submission)[0]
    store.write_note(_note_name(submission), known.model_copy(update=changes).to_json())


class Control:
    """Looks for orders on a thread; `wake` is called where there is a new one."""

    def __init__(self, store: Store, submission: str, wake: Callable[[], None]) -> None:
        self.order = Steering(known=False)  # the one to heed
        self._store, self._submission, self._wake = store, submission, wake
        self._first = _NOTHING if submission else None  # what is not heeded, once it is known
        self._cancelling = 0.0  # the last order that runs be cancelled
        self._cancelled = frozenset[str]()
        self._end = threading.Event()

    def __enter__(self) -> None:
        if not self._store.takes_requests:
            self._look()
        try:
            aside(self._look_on, "control")
        except OSError:  # no later order is heeded
            self._look()

    def __exit__(self, *_: object) -> None:
        self._end.set()

    def _look_on(self) -> None:
        every = EVERY_REQUEST if self._store.takes_requests else EVERY
        if not self.order.known:
            self._look()
        while not self._end.wait(every):
            self._look()

    def _look(self) -> None:
        try:
            order = self._ordered()
        except Exception:  # a store that cannot be read now is looked at again; a thread must not die of it
            order = self.order._replace(known=True)
        if order != self.order:
            self.order = order
            self._wake()

    def _ordered(self) -> Steering:
        found, is_foreign = _read(self._store, self._submission)
        if self._submission and found.cancelling != self._cancelling:
            self._cancelled = read_cancelled(self._store, self._submission)
            self._cancelling = found.cancelling
        if self._first is None:
            self._first = found
        if is_foreign:  # in the place of the user's own: what that said holds
            return self.order._replace(known=True, foreign=True)
        return found.since(self._first)._replace(cancelled=self._cancelled)
