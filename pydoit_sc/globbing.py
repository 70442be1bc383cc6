"""The files that a pattern or a folder means: none of the batch's own outputs, and none by way of a loop of links.

A folder is known by its device and inode, and is visited once for each part of a pattern, by its own path rather than by
a link's where both lead to it. So links multiply no file, and no loop of them is walked for ever.

A file or a folder that is not there, or not for this user, is left out of a pattern, as a shell does it. A folder means all
that is in it: there, what is closed to this user is an error. So is everything else that cannot be read just now.
"""

from __future__ import annotations

import fnmatch
import glob
import heapq
import itertools
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from pydoit_sc.batch import OURS
from pydoit_sc.files import ABSENT, GONE, if_there, is_below, is_file
from pydoit_sc.urls import local_path

T = TypeVar("T")

#: What a folder has that is nobody's input: what tools keep there for themselves.
KEPT_BY_TOOLS = (
    ".git", ".hg", ".svn", ".idea", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".hypothesis", ".tox", ".nox", ".venv", ".doit.db*", f"{OURS}*",
)  # fmt: skip

_ESCAPED = re.compile(r"\[([*?[])\]")  # as glob.escape writes the characters of a name
_KEPT = re.compile("|".join(map(fnmatch.translate, KEPT_BY_TOOLS)))
_OURS = re.compile(fnmatch.translate(f"{OURS}*"))
_HIDDEN = re.compile(r"\..*", re.DOTALL)
_ALL = "**"


def unescaped(pattern: str) -> str:
    """Return a pattern as the name of a file: what `escape` has written means the name.

    >>> unescaped("data/a[[]1].csv")
    'data/a[1].csv'
    """
    return _ESCAPED.sub(r"\1", pattern)


def escape(name: str) -> str:
    """Return the pattern that means this name alone."""
    return glob.escape(name) if glob.has_magic(name) else name


def outputs_of(remote_output_path: str, folder: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of a batch's outputs on this machine; `folder` is that of its batchfile.

    Where the outputs lie beside the batchfile, or around it, those are the folders of these names.
    """
    if not (root := local_path(remote_output_path)):
        return ()
    if not is_below(folder, root):
        return (root,)
    return tuple(os.path.join(root, name) for name in dict.fromkeys(names))


def find(pattern: str, folder: str, outputs: Sequence[str] = ()) -> list[str]:
    """Return the files that match, sorted; relative ones count from `folder`. What lies in `outputs` is left out.

    `**` means any number of folders. Hidden files match only a pattern that says so, as in a shell. Raises OSError where a
    folder cannot be read just now.
    """
    return sorted(_Search(folder, outputs).files(pattern))


def files_below(path: str, folder: str, outputs: Sequence[str] = ()) -> list[str]:
    """Return all files in a folder, sorted, hidden ones too; what tools keep there (`.git`) is left out.

    Raises OSError where a folder cannot be read.
    """
    return sorted(_Search(folder, outputs, _KEPT, GONE).files(f"{glob.escape(path.rstrip('/'))}/{_ALL}"))


def means_outputs(pattern: str, folder: str, outputs: Sequence[str]) -> bool:
    """Return whether a pattern, or the name of a folder, looks into outputs alone, and so means no file."""
    fixed = itertools.takewhile(lambda part: not glob.has_magic(_ESCAPED.sub("", part)), pattern.split("/"))
    return _Search(folder, outputs).is_output(unescaped("/".join(fixed)))


class _Search:
    """One walk. Visits are queued as the way to a folder, with a slash at its end, and the part of the pattern to match."""

    def __init__(
        self,
        folder: str,
        outputs: Sequence[str],
        hidden: re.Pattern[str] = _HIDDEN,
        absent: Collection[int] = ABSENT,
    ) -> None:
        self._folder = folder
        self._hidden = hidden
        self._absent = absent  # errors that say that there is nothing
        self._outputs = tuple(map(os.path.realpath, outputs))
        self._seen: set[tuple[int, tuple[int, int]]] = set()
        self._own: list[tuple[str, int]] = []
        self._links: list[tuple[str, int]] = []  # a heap: their turn comes when no folder is left

    def files(self, pattern: str) -> set[str]:
        """Return the files that match; a pattern that ends in a slash means folders, and so none."""
        start = "/" if pattern.startswith("/") else ""
        parts = pattern.lstrip("/").split("/")
        found: set[str] = set()
        self._own.append((start, 0))
        while parts[-1] and (self._own or self._links):
            way, at = self._own.pop() if self._own else heapq.heappop(self._links)
            identity = self._identity(os.path.join(self._folder, way))
            if identity and (at, identity) not in self._seen and not self.is_output(way):
                self._seen.add((at, identity))
                found.update(self._visit(way, at, parts))
        return found

    def is_output(self, way: str) -> bool:
        """Return whether a folder is one of outputs, or lies in one."""
        real = os.path.realpath(os.path.join(self._folder, way)) if self._outputs else ""
        return any(real == path or real.startswith(f"{path}/") for path in self._outputs)

    def _visit(self, way: str, at: int, parts: Sequence[str]) -> Iterator[str]:
        """Queue the folders that lead on, and yield the files of a folder that match the pattern's last part."""
        part, is_last = parts[at], at == len(parts) - 1
        if not glob.has_magic(_ESCAPED.sub("", part)):
            name = unescaped(part)
            path = f"{way}{name}"
            if not is_last:
                self._own.append((f"{path}/" if name else way, at + 1))
            elif is_file(os.path.join(self._folder, path)):
                yield path
            return
        if part == _ALL and not is_last:
            self._own.append((way, at + 1))
        matches = re.compile(fnmatch.translate(part)).match
        hidden = _OURS if part.startswith(".") else self._hidden
        for entry in self._look(partial(_entries, os.path.join(self._folder, way))) or ():
            if hidden.fullmatch(entry.name) or not matches(entry.name):
                continue
            if self._look(entry.is_file):
                if is_last:
                    yield f"{way}{entry.name}"
            elif self._look(entry.is_dir) and (part == _ALL or not is_last):
                follow = (f"{way}{entry.name}/", at if part == _ALL else at + 1)
                if entry.is_symlink():
                    heapq.heappush(self._links, follow)
                else:
                    self._own.append(follow)

    def _identity(self, path: str) -> tuple[int, int] | None:
        """Return what tells a folder from all others, under whatever name; None for what is none."""
        found = self._look(partial(os.stat, path))
        return (found.st_dev, found.st_ino) if found and stat.S_ISDIR(found.st_mode) else None

    def _look(self, look: Callable[[], T]) -> T | None:
        return if_there(look, self._absent)


def _entries(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return list(entries)
