"""All problems of one load, collected with their keys and told at once with their places."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydoit_sc.batchfile.document import Document, Place
from pydoit_sc.batchfile.errors import SHOWN, BatchfileError, InvalidError, Problem, Where, did_you_mean
from pydoit_sc.batchfile.places import find

_BARE = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class _Found:
    document: Document
    where: Where
    message: str
    also: Where | None  # a second place that the message ends with


class Report:
    """Collects problems; places are looked up at the end, and only for those that are shown."""

    def __init__(self) -> None:
        self._found: list[_Found] = []
        self._ready: list[Problem] = []
        self._count = 0

    def add(self, document: Document, where: Where, message: str, also: Where | None = None) -> None:
        """Note a problem with the value at `where`."""
        self._count += 1
        if len(self._found) < SHOWN:
            self._found.append(_Found(document, where, message, also))

    def take(self, error: BatchfileError) -> None:
        """Note the problems of another file."""
        self._count += len(error.problems) + error.more
        self._ready.extend(error.problems)

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


@dataclass(frozen=True)
class Notes:
    """A report on one document."""

    report: Report
    document: Document

    def add(self, where: Where, message: str, also: Where | None = None) -> None:
        """Note a problem with the value at `where`; `also` is a second place to quote."""
        self.report.add(self.document, where, message, also)

    def invalid(self, where: Where, error: InvalidError) -> None:
        """Note every fault of the value at `where`."""
        for below, message in error.faults:
            self.add((*where, *below), message)

    def unknown(self, where: Where, what: str, word: str, known: Iterable[str]) -> None:
        """Note a word that is none of the known ones, and which was perhaps meant, where anybody will read it."""
        self.add(where, f"{what}{did_you_mean(word, known) if self.report.count < SHOWN else ''}")


def _problem(found: _Found, places: dict[Where, Place]) -> Problem:
    line, column = places[found.where]
    message = f"{spell(found.where)}: {found.message}" if found.where else found.message
    if found.also is not None:
        other, _ = places[found.also]
        message += f" {spell(found.also)}" + (f" (line {other})" if other is not None else "")
    return Problem(found.document.file, line, column, message)


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
