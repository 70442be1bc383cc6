"""What every store can do, and the values that pass in and out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Protocol

from pydoit_sc.errors import UserError
from pydoit_sc.store.layout import Record


class StoreError(UserError):
    """The store cannot be read or written; the text says which file, and why."""


class HeldError(StoreError):
    """Another worker, which may be alive, holds what was asked for; the text says who."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that has ended: a local folder that holds the whole output, `status_code` included."""

    key: str
    attempt: str
    folder: str
    results: str | None  # a folder outside it whose files are its results too
    supersedes: str | None  # the attempt whose outcome it is to replace; None: there was none


class Outcome(Enum):
    """What became of an attempt."""

    PUBLISHED = "published"
    LOST = "lost"  # another worker's attempt had completed the run first; ours was dropped


@dataclass(frozen=True, slots=True)
class Live:
    """An attempt that a worker is executing."""

    host: str
    folder: str  # on that host
    since: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Contents:
    """What a finished run consists of, and what its two small files hold."""

    files: Mapping[str, tuple[int, str]]  # sizes in bytes and MD5s ("" if unknown), by path below the output
    status_code: bytes
    run_json: bytes | None


@dataclass(frozen=True, slots=True)
class Staged:
    """An attempt whose data is in the store, durably."""

    attempt: Finished
    folder: str = ""  # where it waits for its commit
    outcome: Outcome | None = None  # known already, in a store where nothing is left to commit


class Store(Protocol):
    """The outputs below one `remote_output_path`.

    A key is the path of a run's output below it. An attempt is published in two steps: `stage`, which may take long,
    and `commit`, which is quick and makes it the run's outcome, all at once. Every method raises `StoreError` where the store fails; only
    an answer that a thing does not exist is taken for its absence.
    """

    url: str  # without a slash at its end
    stagers: int  # how many threads may call `stage` at once; 1: it is best called with many attempts

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        """Return the record of each of these runs that has a `status_code`: one bulk read."""

    def peek(self, key: str) -> Record | None:
        """Return one run's record if that is cheap to ask (a worker does so before each attempt), else None."""

    def contents(self, keys: Iterable[str]) -> Iterator[tuple[str, Contents]]:
        """Yield what each of these runs that has a `status_code` consists of, to be verified."""

    def workspace(self, worker: str, scratch: str | None, chunk: str = "") -> AbstractContextManager[str]:
        """Give a worker a local folder for its attempts, removed at the end; clear those of dead workers.

        Where two workers on one chunk could disturb each other, `chunk` is held until the end; raises HeldError if
        another worker holds it.
        """

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        """Bring the attempts' data to the store and wait until it is durable.

        An attempt that cannot be staged is answered by its error, and does not hinder the others.
        """

    def commit(self, staged: Staged) -> Outcome:
        """Make a staged attempt its run's outcome."""

    def settle(self) -> None:
        """Return when everything committed so far survives what the store promises to survive."""

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:
        """Let others know what a worker is executing, by key; for people to see, no decision rests on it."""

    def running(self) -> Mapping[str, Live]:
        """Return what live workers say they are executing, by key."""

    def files(self, key: str) -> Mapping[str, int]:
        """Return a run's files, by path below its output, with their sizes in bytes."""

    def open(self, key: str, file: str) -> BinaryIO:
        """Open one of a run's files to read; raises FileNotFoundError where there is none."""

    def forget(self, key: str) -> bool:
        """Make a run incomplete again: its output goes to the history. False: there was no output."""

    def remove(self, key: str) -> bool:
        """Delete a run's output and its history. False: there was no output."""

    def orphans(self, keys: set[str]) -> Iterator[str]:
        """Yield the keys of outputs in the store whose run is not among these."""

    def write_note(self, name: str, data: bytes) -> None:
        """Keep a small file of our own, `submissions/…/0.json`, below `.pydoit_sc/`: whole or not at all."""

    def read_note(self, name: str) -> bytes:
        """Return a file that `write_note` has kept; raises FileNotFoundError where there is none."""

    def notes(self, folder: str) -> Sequence[str]:
        """Return the names of the notes below a folder, `submissions`, sorted."""
