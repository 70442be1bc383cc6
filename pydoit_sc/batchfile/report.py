"""All problems of one load, collected with their keys and told at once with their places."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pydoit_sc.batchfile.document import Document, Place
from pydoit_sc.batchfile.errors import (
    SHOWN,
    BatchfileError,
    InvalidError,
    Problem,
    Where,
    did_you_mean,
    show,
)
from pydoit_sc.batchfile.places import find, source_text

_BARE = re.compile(r"[\w-]+")
_FILE = 300  # characters of the name of a file in a message


class Found(NamedTuple):
    """A problem with the value at `where`."""

    document: Document
    where: Where
    message: str
    also: Where | None = None  # a second place that the message ends with
    unquoted: object = None  # a value that should be a text: the message ends with how it becomes one


class Report:
    """Collects problems; places are looked up at the end, and only for those that are shown."""

    def __init__(self) -> None:
        self._found: list[Found] = []
        self._ready: list[Problem] = []
        self._count = 0

    def add(self, found: Found) -> None:
        """Note a problem."""
        self._count += 1
        if len(self._found) < SHOWN:
            self._found.append(found)

    def add_more(self, count: int) -> None:
        """Count problems that nobody will read."""
        self._count += count

    def take(self, error: BatchfileError) -> None:
        """Note the problems of another file."""
        self._count += len(error.problems) + error.more
        self._ready.extend(error.problems)

    def join(self, other: Report) -> None:
        """Note the problems of another report."""
        self._found += other._found
        self._ready += other._ready
        self._count += other._count

    @property
    def count(self) -> int:
        """How many problems there are so far."""
        return self._count

    def check(self) -> None:
        """Raise BatchfileError if there is a problem."""
        if not self._count:
            return
        problems = [*self._resolve(), *self._ready][:SHOWN]
        raise BatchfileError(problems, self._count - len(problems))

    def _resolve(self) -> list[Problem]:
        problems = []
        for document in {id(found.document): found.document for found in self._found}.values():
            mine = [found for found in self._found if found.document is document]
            wanted = {where for found in mine for where in (found.where, found.also) if where is not None}
            places = find(document, wanted)
            problems += sorted((_problem(found, places) for found in mine), key=_in_file)
        return problems


def _nowhere(_: Where) -> str:
    return ""


class Notes(NamedTuple):
    """A report on one document."""

    report: Report
    document: Document
    #: Says of a key that its table does not have which one it belongs in, "" where there is none.
    home: Callable[[Where], str] = _nowhere

    def add(self, where: Where, message: str, also: Where | None = None) -> None:
        """Note a problem with the value at `where`; `also` is a second place to quote."""
        self.report.add(Found(self.document, where, message, also))

    def unquoted(self, where: Where, message: str, value: object) -> None:
        """Note that the value at `where` is no text; the message ends with how it becomes one."""
        self.report.add(Found(self.document, where, message, unquoted=value))

    def invalid(self, where: Where, error: InvalidError) -> None:
        """Note every fault of the value at `where`."""
        for below, message in error.faults:
            self.add((*where, *below), message)

    def file(self, where: Where, error: BatchfileError) -> None:
        """Note what is wrong with a file that the value at `where` names: there, if it is about the file as a whole."""
        first = error.problems[0]
        if first.line is None:
            self.add(where, f"{show(first.file, _FILE)}: {first.message}")
        else:
            self.report.take(error)

    def unknown_key(self, where: Where, what: str, known: Iterable[str]) -> None:
        """Note a key that is none of the known ones: where it belongs, or which one was perhaps meant."""
        home = self.home(where) if self.report.count < SHOWN else ""
        if home:
            self.add(where, home)
        else:
            self.unknown(where, what, str(where[-1]), known)

    def unknown(self, where: Where, what: str, word: str, known: Iterable[str]) -> None:
        """Note a word that is none of the known ones, and which was perhaps meant, where anybody will read it."""
        self.add(where, f"{what}{did_you_mean(word, known) if self.report.count < SHOWN else ''}")


def _problem(found: Found, places: dict[Where, Place]) -> Problem:
    line, column = places[found.where]
    message = f"{spell(found.where)}: {found.message}" if found.where else found.message
    if found.also is not None:
        other, _ = places[found.also]
        message += f" {spell(found.also)}" + (f" (line {other})" if other is not None else "")
    if found.unquoted is not None:
        message += _advice(found.unquoted, source_text(found.document, found.where, places[found.where]))
    return Problem(found.document.file, line, column, message)


def _advice(value: object, source: str | None) -> str:
    """Return the end of a message: what was found, as the file writes it, and how it becomes a text."""
    shown = show(value)
    read = "" if source in (None, shown) else f" (which is read as {shown})"
    return f", found {source or shown}{read}; write {json.dumps(source or shown, ensure_ascii=False)}"


def _in_file(problem: Problem) -> tuple[int, int]:
    return problem.line or 0, problem.column or 0


def spell(where: Where) -> str:
    """Write the path of a key as people do: `runs.month.cmd`, `runs[3].cmd`."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _BARE.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += ("." if text else "") + ascii(part)[:80]
    return text
