"""What a file system has of many runs, in the order in which they are asked for: nothing is kept but names in folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import compress, islice, repeat

from pydoit_sc.store.base import LASTING
from pydoit_sc.store.currents import TOGETHER, Currents, find_currents
from pydoit_sc.store.layout import Record
from pydoit_sc.store.places import Fingerprints, Taken, There, inside_of, parents, strange, unread
from pydoit_sc.store.reading import ABSENT, located, read_outcome
from pydoit_sc.store.ways import closed

_FEW = 100  # up to so many runs are looked for one by one
_ROOM = 500_000  # names that are kept, of the entries of folders


def read_each(root: str, keys: Sequence[str], fingerprints: Fingerprints = None) -> Iterator[There | bool]:
    """Yield for each key the outcome there; else whether there is anything at all. Raises OSError with the whole path.

    One that cannot be read takes the place of its run; what may pass is an error.

    Of those that are completed and have the fingerprints beside their keys no record is made.
    """
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except ABSENT:
        yield from (False for _ in keys)
        return
    names = _Names(folder, 0 if len(keys) <= _FEW else _ROOM)
    currents = find_currents() if fingerprints is not None else Currents()
    wanted = zip(keys, fingerprints or repeat(None), strict=False)
    try:
        while some := list(islice(wanted, TOGETHER)):
            may_be = names.may_have(key for key, _ in some)
            told = iter(currents.tell(folder, list(compress(some, may_be))))
            for (key, fingerprint), may in zip(some, may_be, strict=True):
                if not may:
                    yield False
                elif (one := next(told)) is None:
                    yield _read(key, folder, fingerprint)
                else:
                    yield one
    except OSError as error:
        raise located(error, root) from None
    finally:
        os.close(folder)


def _read(key: str, folder: int, fingerprint: str | None) -> There | bool:
    try:
        return read_outcome(key, folder, fingerprint) or _is_there(key, folder)
    except OSError as error:
        return unread(error, key, folder)


def _is_there(key: str, folder: int) -> bool:
    try:
        os.stat(key, dir_fd=folder, follow_symlinks=False)
    except ABSENT:
        return False
    return True


class _Names:
    """The names in folders, each of which is listed once, while there is room for them."""

    def __init__(self, root: int, room: int) -> None:
        self._root, self._room = root, room
        self._known: dict[str, Collection[str] | None] = {}

    def may_have(self, keys: Iterable[str]) -> list[bool]:
        """Return for each key whether there may be anything of it, as far as names are known."""
        found, last, there = [], None, None
        for key in keys:
            parent, _, name = key.rpartition("/")
            if parent != last:
                last, there = parent, self.of(parent)
            found.append(there is None or name in there)
        return found

    def of(self, path: str) -> Collection[str] | None:
        """Return the names in a folder below the root, none where there is no folder; None where they are not known."""
        if path not in self._known and self._room > 0:
            names = self._list(path)
            self._room -= 1 + len(names or ())
            self._known[path] = frozenset(names) if names is not None and self._room > 0 else None
        return self._known.get(path)

    def _list(self, path: str) -> Collection[str] | None:
        try:
            folder = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root)
        except ABSENT:
            return ()
        except OSError as error:
            if error.errno in LASTING:  # each run in it tells so
                return None
            raise
        try:
            return os.listdir(folder)
        except OSError as error:
            raise located(error, path) from None
        finally:
            os.close(folder)


def look(root: str, keys: Sequence[str], fingerprints: Fingerprints) -> Iterator[There | None]:
    """Yield for each key the outcome there, or what else takes its place."""

    @lru_cache(10_000)
    def outer(parent: str) -> str | None:
        """Return the outermost output that a folder is in, or is."""
        found = (
            dict(zip(around, read_each(root, around), strict=True)) if (around := [*parents(parent)]) else {}
        )
        return next((path for path in reversed(around) if isinstance(found[path], Record)), None)

    is_closed = lru_cache(10_000)(partial(closed, root))
    last, output = "", None
    for key, found in zip(keys, read_each(root, keys, fingerprints), strict=True):
        parent = key.rpartition("/")[0]
        if parent != last:
            last, output = parent, outer(parent)
        if output is not None:
            yield inside_of(output)
        elif isinstance(found, bool):
            what = (strange(f"{root}/{key}") if found else "") or is_closed(parent)
            yield Taken(what) if what else None
        else:
            yield found
