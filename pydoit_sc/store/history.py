"""The history of a run: its former outcomes, and attempts that were retried, each in a folder of its attempt's name."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from pydoit_sc.batch import OURS
from pydoit_sc.files import make_folders
from pydoit_sc.store.base import StoreError
from pydoit_sc.store.copying import discard
from pydoit_sc.store.places import FILES, check_folder
from pydoit_sc.store.reading import ABSENT, read_record
from pydoit_sc.store.ways import check_way

PLACES = 1000  # that are tried for an attempt in the history of a run: more than one where it is unknown
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)  # of a rename to where something is


def home_of(key: str) -> str:
    """Return the place of a run's history, below the root of its store."""
    return f"{OURS}/history/{key}"


def attempts_in(paths: Iterable[str]) -> set[str]:
    """Return which folders of a run's history are attempts of it, from the paths there: others are of other runs.

    >>> attempts_in(["abc-1/stdout", "abc-1/results/x", "0/abc-2/stdout"])
    {'abc-1'}
    """
    split = (path.split("/", 2) for path in paths)
    return {parts[0] for parts in split if len(parts) == 2 and parts[1] in FILES}


def move_there(root: str, key: str, folder: str) -> str:
    """Move an output, or an attempt, to its run's history and return its new place; raises OSError, and StoreError."""
    for way in (key, f"{home_of(key)}/"):
        check_way(root, way)
    check_folder(f"{root}/{key}", folder)
    record = read_record(folder)
    home = f"{root}/{home_of(key)}"
    make_folders(home)
    name = (record and record.attempt) or "unknown"
    n = 0
    for _ in range(PLACES):
        place = f"{home}/{name}.{n}" if n else f"{home}/{name}"
        try:
            if not os.path.lexists(place):
                os.rename(folder, place)
                return place
        except FileNotFoundError:
            os.lstat(folder)  # raises where that is gone
            make_folders(home)  # else this is: an empty one is removed
            continue
        except OSError as error:
            # The name may be one that another worker has taken just now.
            if error.errno not in TAKEN:
                raise
        n += 1
    raise StoreError(used_up(f"{home}/{name}"))


def used_up(home: str) -> str:
    """Return the error where there is no place left in the history for an attempt of this name."""
    return f"{home}: expected a free name, found {PLACES:,} of this attempt; `clean` removes the history of a run"


def former(root: str, key: str) -> Sequence[str]:
    """Return the keys of what a run's history has; raises OSError."""
    home = home_of(key)
    return [f"{home}/{name}" for name in attempts_in(_paths(f"{root}/{home}"))]


def remove(root: str, key: str) -> bool:
    """Remove the history of a run, and return whether there was one; raises OSError. That of runs whose keys lie below it stays."""
    places = former(root, key)
    for place in places:
        discard(f"{root}/{place}")
    with suppress(OSError):  # not there, or not empty
        os.rmdir(f"{root}/{home_of(key)}")
    return bool(places)


def _paths(home: str) -> Iterator[str]:
    with suppress(FileNotFoundError):
        for name in os.listdir(home):
            with suppress(*ABSENT):
                yield from (f"{name}/{file}" for file in os.listdir(f"{home}/{name}"))
