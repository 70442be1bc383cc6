"""Which names runs and stages may have: they become folders, object keys and doit tasks."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pydoit_sc.batch import ENGINE_TASKS, OURS, PLAIN
from pydoit_sc.made import Texts

#: The tasks of ours: no stage may hide one. It may be called as a command is, which wins as the first word alone.
RESERVED = frozenset((*ENGINE_TASKS, PLAIN))

_PARTS = 64  # in which hashes are compared, so that few of them are numbers of Python at once

SEGMENT_BYTES = 255  # NAME_MAX of Linux file systems
#: Files of each output: a folder of this name would be taken for that of the folder in which it is.
_FILES = frozenset({"status_code", "run.json"})
_LENGTH = 200  # characters of an ordinary name
_ORDINARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+-]{0,199}")  # most names: nothing more to check
_PIECE = re.compile(r"[A-Za-z0-9_.,+-]*")  # of an ordinary name
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f=*?\[]|::")
_NAMED = {
    "=": "`=`, which doit reads as a variable",
    "::": "`::`, which chains URLs",
    "*": "`*`, which is a pattern to file systems",
    "?": "`?`, which is a pattern to file systems",
    "[": "`[`, which is a pattern to file systems",
}


def check_name(name: object) -> str | None:
    """Return why `name` cannot be the name of a run, or None if it can."""
    if not isinstance(name, str):
        return "a name is a string"
    if _ORDINARY.fullmatch(name) and name not in _FILES:
        return None
    if not name:
        return "a name is not empty"
    if char := _forbidden(name):
        return f"a name has no {_NAMED.get(char) or f'control character or surrogate (it has {char!a})'}"
    if name.startswith("/"):
        return "a name has no `/` at its start"
    return _check_segments(name.split("/"))


def are_ordinary(names: Texts) -> bool:
    """Return whether `check_name` takes all of these, where that shows in what they are made of: there may be a million."""
    begin = Texts(names.parts[:1], names.size)
    return (
        all(map(_ORDINARY.match, begin.pieces() if begin.parts else ("",)))
        and all(map(_PIECE.fullmatch, names.pieces()))
        and (longest := names.longest()) <= _LENGTH
        and not any(_may_be(names, file) for file in _FILES if len(file) <= longest)
    )


def _begins(text: str) -> set[str]:
    return {text[:end] for end in range(len(text) + 1)}


def _may_be(names: Texts, word: str) -> bool:
    """Return whether one of these names may be a word, by what they are made of."""
    begins = {""}
    for part in names.parts:
        pieces = (part,) if isinstance(part, str) else part[1]
        begins = {
            begin + piece for begin in begins for piece in _begins(word[len(begin) :]).intersection(pieces)
        }
    return word in begins


def _forbidden(name: str) -> str:
    """Return what a name has that none may have, "" if nothing."""
    if found := _FORBIDDEN.search(name):
        return found.group()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        return name[error.start]
    return ""


def _check_segments(segments: list[str]) -> str | None:
    for segment in segments:
        if not segment:
            return "a name has no empty segment (`//`, or `/` at its end)"
        if segment in (".", ".."):
            return f"a name has no segment `{segment}`"
        if segment in _FILES:
            return f"a name has no segment `{segment}`, which is a file of each output"
        if len(segment.encode()) > SEGMENT_BYTES:
            return f"a segment of a name has at most {SEGMENT_BYTES} bytes, this one {len(segment.encode())}"
    if segments[0] == OURS:
        return f"`{OURS}` is where pydoit-sc keeps its own files"
    return None


def check_stage_name(name: str) -> str | None:
    """Return why `name` cannot be the name of a stage, or None if it can."""
    if name in RESERVED:
        return f"`{name}` is the name of a task of pydoit-sc; give the stage another one"
    if "/" in name or ":" in name:
        return "the name of a stage has no `/` and no `:`"
    if name.startswith(("-", "_")):
        return "the name of a stage does not start with `-` or `_`"
    reason = check_name(name)
    return reason and f"not the name of a stage: {reason}"


def nested(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs (inner, outer) of positions whose outputs would lie in one another, `a/b` in `a`."""
    folders = {folder for name in names if "/" in name for folder in _folders(name)}
    position = {name: i for i, name in enumerate(names) if name in folders} if folders else {}
    return [
        (i, position[folder])
        for i, name in enumerate(names if position else ())
        for folder in _folders(name)
        if folder in position
    ]


def _folders(name: str) -> Iterator[str]:
    """Yield all that a name lies in, the outermost first."""
    end = name.find("/")
    while end >= 0:
        yield name[:end]
        end = name.find("/", end + 1)


def repeated(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the names that occur more than once, each with its positions."""
    hashes = repeated_hashes(names)
    positions: dict[str, list[int]] = {}
    for i, name in enumerate(names if hashes else ()):
        if hash(name) in hashes:
            positions.setdefault(name, []).append(i)
    return {name: at for name, at in positions.items() if len(at) > 1}


def repeated_hashes(texts: Iterable[str]) -> set[int]:
    """Return the hashes that several of these texts have, of which there may be a million: mostly of equal ones."""
    parts = [array("q") for _ in range(_PARTS)]
    for number in map(hash, texts):
        parts[number % _PARTS].append(number)
    alone = (len(set(part)) == len(part) for part in parts)
    counts = (Counter(part) for part, is_alone in zip(parts, alone, strict=True) if not is_alone)
    return {number for part in counts for number, count in part.items() if count > 1}
