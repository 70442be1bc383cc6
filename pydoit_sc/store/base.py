"""What every store can do, and the values that pass in and out of it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from pydoit_sc.errors import UserError
from pydoit_sc.store.layout import LARGEST_NOTE, Record
from pydoit_sc.store.stamps import Live

if TYPE_CHECKING:
    from pydoit_sc.store.places import Beside, Fingerprints, There


class StoreError(UserError):
    """The store cannot be read or written; the text says which file, and why."""


class UnreadableError(StoreError):
    """What is asked for is closed to this user, or no file, and will be so again: it concerns one run, and not the store."""


class TakenError(StoreError):
    """What lies in a run's place is no run's output, or closed to this user; it is left as it is, and the run is not published."""


class HeldError(StoreError):
    """Another worker that may be alive holds what was asked for; the text says which."""


#: What is wrong with a file for good; all else may pass: a disk that fails, a server that is away, too many open files.
LASTING = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.ENAMETOOLONG
    }
)  # fmt: skip


class answers:  # noqa: N801 - read as a verb: `with answers(path):`
    """Turn the errors of a file system or of a library into a `StoreError` that names the file, else `where`.

    Of those that last it is an `UnreadableError`. Those in `but` are raised as they are. A class, since a generator takes
    twice as long, and each run has some.
    """

    __slots__ = ("_but", "_errors", "_where")

    def __init__(
        self, where: str, errors: type[Exception] = OSError, *, but: tuple[type[Exception], ...] = ()
    ) -> None:
        self._where, self._errors = where, errors
        self._but: tuple[type[Exception], ...] = (StoreError, *but)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, self._errors) or isinstance(error, self._but):
            return
        lasts = isinstance(error, OSError) and error.errno in LASTING
        raise (UnreadableError if lasts else StoreError)(words_of(error, self._where)) from error


def words_of(error: Exception, where: str) -> str:
    """Return the text of an error of a file system or of a library: its files, else `where`, and what is wrong."""
    paths = [str(path) for path in (_attribute(error, "filename"), _attribute(error, "filename2")) if path]
    said = _attribute(error, "strerror") or text_of(error)
    return f"{' -> '.join(paths) or where}: {said}"


def text_of(error: Exception) -> str:
    """Return the text of a library's error, without the insides that obstore adds to its own."""
    return str(error).partition("\n\nDebug source")[0].strip() or type(error).__name__


def _attribute(error: Exception, name: str) -> object:
    return getattr(error, name) if isinstance(error, OSError) else None


class Finished(NamedTuple):
    """An attempt that has ended: a local folder that holds the whole output with its `status_code`."""

    key: str
    attempt: str
    folder: str
    supersedes: str | None  # the attempt whose outcome it is to replace; None: there was none
    fingerprint: str = ""  # what the run depended on; "": not known
    digested: bool = True  # its `run.json` has the digests of its files; else `stage` adds them
    retried: bool = False  # it is not to be published, but kept in the history; its run is held further


class Outcome(Enum):
    """The result of publishing an attempt."""

    PUBLISHED = "published"
    LOST = "lost"  # another worker's attempt had completed the same run first; ours was dropped
    KEPT = "kept"  # it was retried, and is in the history


class Contents(NamedTuple):
    """What a finished run consists of, and what its two small files hold."""

    files: Mapping[str, tuple[int, str]]  # sizes in bytes and MD5s ("" if unknown), by path below the output
    status_code: bytes
    run_json: bytes | None


class Staged(NamedTuple):
    """An attempt whose data is in the store, durably."""

    attempt: Finished
    folder: str = ""  # where it waits for its commit
    outcome: Outcome | None = None  # known before the commit where `stage` has done it all


#: Is told of a run whose own files cannot be read, by its key, and why.
Unread = Callable[[str, str], object]


class Outputs(Protocol):
    """The outputs of runs below one `remote_output_path`: read, forget and remove them.

    A key is the path of a run's output below it. Every method of a store raises `StoreError` where the store fails;
    a failure is never taken for the absence of a thing. Where many runs are asked for, one whose own files cannot be read
    fails alone: `unread` is told of it, by its key and in words, or else it is an `UnreadableError`.
    """

    url: str  # without a slash at its end
    takes_requests: (
        bool  # each question is a request, for whose time other things can be done: no file system
    )

    def scan(self, keys: Iterable[str]) -> dict[str, Record]:
        """Return the record of each of these runs that has a `status_code`, in one bulk read.

        Of one that cannot be read it has no code, and says why.
        """

    def glance(self, keys: Iterable[str]) -> dict[str, Record]:
        """Scan for somebody who looks again and again: without a request for each run, records may lack what `run.json` says."""

    def look(
        self, keys: Sequence[str], fingerprints: Fingerprints = None, beside: Beside | None = None
    ) -> Iterator[There | None]:
        """Yield for each of these runs, in their order, its record, or what else takes its place; in one bulk read.

        `fingerprints` stand beside the keys: of an outcome that is completed and has this one, no record is made. Where a
        listing shows what lies beside outcomes, `beside` is told of it.
        """

    def beside(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return why the outcomes of these runs cannot be replaced, in words, by the keys of those of which that is so.

        What lies beside them is of no run, or they are closed to this user. It takes a listing of each.
        """

    def documents(
        self, keys: Iterable[str], unread: Unread | None = None
    ) -> Iterator[tuple[str, bytes, bytes | None]]:
        """Yield what `status_code` and `run.json` hold of each of these runs that has an outcome, in their order."""

    def contents(self, keys: Iterable[str], unread: Unread | None = None) -> Iterator[tuple[str, Contents]]:
        """Yield what each of these runs that has a `status_code` consists of, to be verified."""

    def running(self) -> Mapping[str, Live]:
        """Return what live workers say they are executing, by key."""

    def files(self, key: str) -> Mapping[str, int]:
        """Return the sizes in bytes of a run's files, by path below its output."""

    def open(self, key: str, file: str) -> BinaryIO:
        """Open one of a run's files to read; raises FileNotFoundError where there is none."""

    def tail(self, key: str, file: str, at_most: int) -> bytes:
        """Return the last bytes of one of a run's files; nothing where there is none, or something that is no file.

        As many threads as may stage may call it at once.
        """

    def forget(self, key: str) -> bool:
        """Make a run incomplete again: move its output to the history. Return False if there was no output.

        Raises TakenError where something else is there, or it is closed to this user.
        """

    def remove(self, key: str) -> bool:
        """Delete a run's output and its history. Return False if there was neither.

        Raises TakenError where something else is there, or it is closed to this user.
        """

    def changing(self) -> AbstractContextManager[None]:
        """Let many runs be forgotten and removed as one worker, by as many threads as may stage."""

    def former(self, key: str) -> Sequence[str]:
        """Return the keys of a run's former outcomes and retried attempts, which are in the history, in any order."""

    def orphans(self, keys: set[str]) -> Iterator[str]:
        """Yield the keys of outputs in the store whose run is not among these."""


class Publisher(Protocol):
    """What a worker publishes its attempts with.

    An attempt is published in two steps: `stage`, which may take long, and `commit`, which is quick and makes it the
    run's outcome, all at once. Every method raises `StoreError` where the store fails.
    """

    in_place: bool  # attempts are published where they lie, unless on a scratch disk, and not read again
    #: How many runs may be held at once; more than 1: that takes requests, and is asked on a thread.
    window: int
    stagers: int  # how many threads may call `stage` at once; 1: it is best called with many attempts

    def workspace(self, worker: str, scratch: str | None) -> AbstractContextManager[str]:
        """Give a worker a local folder for its attempts, removed at the end; clear those of dead workers."""

    def hold(self, worker: str, keys: Sequence[str]) -> Mapping[str, int | StoreError]:
        """Hold runs for a worker until they are committed or released.

        Returns for each how many workers in a row have died while they executed it (0 on stores where that is not
        known), or the error: HeldError where another worker has it, or nobody can tell now.
        """

    def release(self, key: str) -> None:
        """Hold a run no longer: it is not executed after all."""

    def peek(self, key: str) -> Record | None:
        """Return the record of a run that is held; None where nobody else can have published it since the first scan.

        A worker asks before each attempt. Raises HeldError where no run may start now: the store cannot be reached, or the
        run has to be held again.
        """

    def announce(self, worker: str, live: Mapping[str, Live]) -> None:
        """Let others know what a worker is executing, by key; people see it, no decision depends on it."""

    def stage(self, attempts: Sequence[Finished]) -> Sequence[Staged | StoreError]:
        """Bring the attempts' data to the store and wait until it is durable.

        The answer to an attempt that cannot be staged is its error; the others are staged.
        """

    def commit(self, staged: Staged) -> Outcome:
        """Make a staged attempt its run's outcome, or keep it in the history if it was retried.

        Raises TakenError where something else is there, or it is closed to this user.
        """

    def hurry(self) -> None:
        """Wait no longer for a store that cannot be reached: the worker has been told to stop."""

    def settle(self) -> None:
        """Return when everything committed so far survives what the store promises to survive."""


class NoteStore(Protocol):
    """Small files of our own below `.pydoit_sc/`, `submissions/…/0.json`. Every method raises `StoreError`."""

    url: str  # of the store

    def write_note(self, name: str, data: bytes) -> None:
        """Keep a note: whole or not at all."""

    def read_note(self, name: str) -> bytes:
        """Return a note; raises FileNotFoundError where there is none."""

    def read_note_and_owner(self, name: str, at_most: int = LARGEST_NOTE) -> tuple[bytes, int | None]:
        """Return a note and the id of the user who has written it; None where the store does not know users.

        What has more bytes than `at_most` is no note.
        """

    def remove_note(self, name: str) -> None:
        """Remove a note; one that is not there is ignored."""

    def notes(self, folder: str) -> Sequence[str]:
        """Return the names of the notes below a folder, `submissions`, sorted."""


class Store(Outputs, Publisher, NoteStore, Protocol):
    """All of it: what `open_store` returns. Functions take the part that they need."""
