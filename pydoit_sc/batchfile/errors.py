"""What is wrong with a file, and where: the error that `load` raises."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, time
from typing import NamedTuple

from pydoit_sc.errors import UserError, printable, shortened

Where = tuple[str | int, ...]  # keys and positions from the top of a document

#: How many problems are shown; the rest is counted.
SHOWN = 20

_LONGEST = 2000  # characters of a message, or of the name of a file


class Problem(NamedTuple):
    """One thing to correct."""

    file: str
    line: int | None  # from 1; None if unknown
    column: int | None  # from 1, in characters; None if unknown
    message: str

    def __str__(self) -> str:
        place = (shortened(self.file, _LONGEST), self.line, self.column)
        message = shortened(self.message, _LONGEST)
        return printable(f"{':'.join(str(part) for part in place if part is not None)}: {message}")


class BatchfileError(UserError):
    """A batchfile, run list or chunk cannot be read; `problems` holds the first 20, `more` counts the rest."""

    def __init__(self, problems: Sequence[Problem], more: int = 0) -> None:
        super().__init__(problems, more)
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.more = more

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.more:
            lines.append(f"and {self.more:,} more")
        return "\n".join(lines)


class InvalidError(Exception):
    """A value is not what its key takes; each fault has its place below the key, and a message."""

    def __init__(self, *faults: tuple[Where, str]) -> None:
        super().__init__(*faults)
        self.faults = faults


def show(value: object, most: int = 60) -> str:
    """Write a value that was found, shortly, as the file writes it; of a text at most so many characters.

    >>> show("a" * 100)[:10], show(True), show({})
    ('"aaaaaaaaa', 'true', 'an empty table')
    """
    if isinstance(value, str):
        start = value[:most]
        return json.dumps(start, ensure_ascii=not start.isprintable()) + ("…" if len(value) > most else "")
    if isinstance(value, (bool, type(None))):
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int) and abs(value) > 10**15:
        return "a huge number"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        kind = "table" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    return repr(value)[:60]


def kind_of(value: object) -> str:
    """Tell of what kind a value is that was found, and is not shown.

    >>> kind_of(1.5), kind_of([])
    ('a number (not shown: it may be a secret)', 'a list (not shown: it may be a secret)')
    """
    kinds: dict[type, str] = {
        str: "a string",
        bool: "true or false",
        dict: "a table",
        list: "a list",
        type(None): "nothing",
    }
    kind = kinds.get(type(value), "a number" if isinstance(value, (int, float)) else "a date")
    return f"{kind} (not shown: it may be a secret)"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, or None."""
    import difflib  # noqa: PLC0415 - needed only when something is wrong

    close = difflib.get_close_matches(word, list(known), n=1)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the nearest known one, or all of them."""
    choices = list(known)
    near = nearest(word, choices)
    if near is not None:
        return f"; did you mean `{near}`?"
    return f"; known are {', '.join(f'`{choice}`' for choice in choices)}" if choices else ""
