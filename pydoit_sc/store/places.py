"""What lies in the place of a run: only a run's output of ours is ever replaced or removed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from pydoit_sc.store.base import LASTING, TakenError
from pydoit_sc.store.layout import RESULTS, RUN_JSON, STATUS_CODE, STDERR, STDOUT, Current, Record
from pydoit_sc.store.reading import read_file
from pydoit_sc.store.stamps import read

FILES = frozenset({STDOUT, STDERR, STATUS_CODE, RUN_JSON})
_LAYOUT = FILES | {RESULTS}
_SHOWN = 3  # names


class Taken(NamedTuple):
    """What lies in the place of a run, and is no output of it."""

    words: str


#: What there is of a run.
There = Record | Current | Taken

#: Of each run the fingerprint of an outcome of which no record is wanted; None: a record is wanted of all.
Fingerprints = Iterable[str | None] | None


def check_ours(where: str, names: Iterable[str], run_json: Callable[[], bytes | None]) -> None:
    """Raise TakenError if what lies in a run's place is no run's output.

    `names` are those of the files and folders there. An output has one of the four files of a run, and beside them and
    `results` only what its own `run.json` lists: a run may have written there. `sc` that was killed leaves no more.
    """
    there = set(names)
    strange = there - _LAYOUT
    if strange and RUN_JSON in there and (data := run_json()) is not None:
        strange -= _listed(data)
    if strange or not (there & FILES or not there):
        raise TakenError(f"{where} {_has(strange, inside=not there & FILES)}")


def check_folder(where: str, folder: str) -> None:
    """Do so for a folder; raises FileNotFoundError where there is nothing."""
    try:
        if os.path.islink(folder):
            raise NotADirectoryError
        names = os.listdir(folder)
    except NotADirectoryError:
        raise TakenError(f"{where} is no folder, and stays as it is") from None
    except OSError as error:
        if error.errno not in LASTING:
            raise
        raise TakenError(f"{where} cannot be read, and stays as it is: {error.strerror}") from error
    check_ours(where, names, lambda: read_file(f"{folder}/{RUN_JSON}", None))


def _listed(run_json: bytes) -> set[str]:
    """Return the names of the files and folders of an attempt, as its `run.json` lists them."""
    from pydoit_sc.store.documents import Manifest  # noqa: PLC0415 - seldom needed, and slow to import

    manifest = read(Manifest, run_json)
    return {name.partition("/")[0] for name in (manifest and manifest.files) or ()}


def strange(folder: str) -> str:
    """Return what lies in the place of a run and is of no run, so that it cannot be replaced; "" if nothing does."""
    try:
        check_folder("its place", folder)
    except FileNotFoundError:
        return ""
    except TakenError as error:
        return str(error)
    except OSError as error:
        return unread(error, folder).words
    return ""


def unread(error: OSError, path: str, dir_fd: int | None = None) -> Taken:
    """Return what takes the place of a run whose own files cannot be read; raises an error that may pass."""
    if error.errno not in LASTING:
        raise error
    name = os.path.basename(error.filename) if isinstance(error.filename, str) else ""
    whose = belongs(path, dir_fd) if error.errno in (errno.EACCES, errno.EPERM) else ""
    file = f"{name}: " if name in FILES else ""
    return Taken(f"its outcome cannot be read: {file}{error.strerror}{whose}")


def belongs(path: str, dir_fd: int | None = None) -> str:
    """Return whose a folder is, or that in which it is closed to us; "" if it is ours, or that is not known."""
    for folder in parents(path):
        with suppress(OSError):
            uid = os.stat(folder, dir_fd=dir_fd, follow_symlinks=False).st_uid
            return "" if uid == os.geteuid() else f", it belongs to {_user(uid)}"
    return ""


@cache
def _user(uid: int) -> str:
    import pwd  # noqa: PLC0415 - seldom needed

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _has(strange: Iterable[str], *, inside: bool) -> str:
    """Return what a run's place has; `inside`: that may be the outputs of former runs, since there is none of this one."""
    names = sorted(strange)
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    what = f"has {shown}, which is of no run" if names else "has no run's output"
    removed = "; outputs of former runs are removed by `pydoit-sc clean --status orphaned`" * inside
    return f"{what}, and stays as it is: move it away, or give the run another name{removed}"


def above(path: str, keys: Set[str]) -> str | None:
    """Return the outermost key that a path lies below, or None."""
    end = path.find("/")
    while end != -1:
        if path[:end] in keys:
            return path[:end]
        end = path.find("/", end + 1)
    return None


def is_result(path: str, keys: Set[str]) -> bool:
    """Return whether a path is that of a result of one of these runs, or lies below it."""
    split = (folder.rpartition("/") for folder in parents(path))
    return any(name == RESULTS and key in keys for key, _, name in split)


def outer_keys(keys: Iterable[str]) -> set[str]:
    """Return the keys of outputs that these would lie inside."""
    return {folder for parent in {key.rpartition("/")[0] for key in keys} for folder in parents(parent)}


def parents(path: str) -> Iterator[str]:
    """Yield a folder and all that it lies in, the innermost first."""
    while path:
        yield path
        path = path.rpartition("/")[0]


class Places:
    """The places of runs, from the paths that a listing shows: which of them are taken by something else.

    `forbidden` are characters that no key may have.
    """

    def __init__(self, keys: Set[str], forbidden: str = "") -> None:
        self._keys, self._forbidden = keys, forbidden
        self._outer = outer_keys(keys)
        self._strange: dict[str, set[str]] = {}
        self._outputs: set[str] = set()  # of `outer`, those that are there

    def see(self, path: str) -> None:
        """Take a path of the listing."""
        key = above(path, self._keys)
        if key is not None:
            name = path[len(key) + 1 :].partition("/")[0]
            if name not in _LAYOUT and len(names := self._strange.setdefault(key, set())) <= _SHOWN:
                names.add(name)
        elif self._outer:
            folder, _, file = path.rpartition("/")
            if file == STATUS_CODE and folder in self._outer:
                self._outputs.add(folder)

    def beside(self, found: Mapping[str, tuple[bytes, bytes | None]]) -> set[str]:
        """Return which of these runs, of whose outcomes the small files are given, have something beside them that these do not list."""
        names = {key: names for key, names in self._strange.items() if key in found}
        return {
            key for key, some in names.items() if len(some) > _SHOWN or some - _listed(found[key][1] or b"")
        }

    def of(self, key: str, record: Record | None) -> Record | Taken | None:
        """Return what there is of a run, given the record that there may be."""
        if bad := next((char for char in self._forbidden if char in key), ""):
            return Taken(
                f"its name has `{bad}`, which this store takes for another character: give it another name"
            )
        if self._outputs and (outer := above(key, self._outputs)) is not None:
            return inside_of(outer)
        names = self._strange.get(key)
        return Taken(f"its place {_has(names, inside=True)}") if names and record is None else record


class Beside:
    """Tells what lies beside outcomes that are to be replaced, and is of no run: by asking, where no listing has shown it."""

    def __init__(self, ask: Callable[[Sequence[str]], Mapping[str, str]]) -> None:
        self._ask = ask
        self.listed: Set[str] | None = None  # the keys that a listing of all runs has shown something for

    def __call__(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return in words what lies there, by the keys of the runs that have something."""
        asked = keys if self.listed is None else [key for key in keys if key in self.listed]
        return self._ask(asked) if asked else {}


def inside_of(output: str) -> Taken:
    """Return what takes the place of a run that lies inside the output of another one."""
    return Taken(
        f"it would lie inside the output of another run, `{output}`, which is not in this batch: move that away, or remove "
        "it with `pydoit-sc clean --status orphaned`"
    )
