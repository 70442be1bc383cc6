"""JSON and JSON Lines: no duplicate keys, no NaN, and the places of all keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from pydoit_sc.batchfile.document import Frame, failure, lines_of, place
from pydoit_sc.batchfile.errors import Where

_WINDOW = 1 << 20  # characters of a long list that are read at once

#: Where a list of runs begins: alone, or as a member of a table.
_LIST = re.compile(r"[ \t\r\n]*\[[ \t\r\n]*")
_MEMBER = re.compile(r'"runs"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*')

#: How an item ends, and what is between it and the next one, by how an item begins.
_ENDS = {
    "{": ("}", re.compile(r"[ \t\r\n]*,[ \t\r\n]*(?=\{)")),
    '"': ('"', re.compile(r'[ \t\r\n]*,[ \t\r\n]*(?=")')),
}

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{},:]|[^][{},:"\s]+')


class _DuplicateKeyError(ValueError):
    pass


class _ConstantError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKeyError
    return members


def _no_constant(name: str) -> None:
    raise _ConstantError(name)


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def parse_json(text: str, file: str, first_line: int = 1) -> Any:
    """Return the value of a JSON text that starts at line `first_line` of the file; raise BatchfileError."""
    try:
        return _JSON.decode(text)
    except json.JSONDecodeError as error:
        message, offset = f"not JSON: {error.msg}", error.pos
    except _ConstantError as error:
        message, offset = f"not JSON: {error} is not a number of JSON", _constant(text)
    except _DuplicateKeyError:
        key, offset = _duplicate(text)
        message = f"the key `{key}` is given twice"
    except RecursionError:
        raise failure(file, "nested too deeply to be read") from None
    except ValueError as error:
        raise failure(file, f"not JSON: {error}", first_line) from None
    line, column = place(text, offset)
    raise failure(file, message, first_line + line - 1, column)


def parse_json_list(raw: bytes, file: str) -> Any:
    """Return the value of a JSON text; raise BatchfileError. The items of a long list of runs in it are read as they are asked for."""
    if len(raw) > _WINDOW:
        with suppress(ValueError, LookupError, RecursionError):  # it is something else, or not JSON
            # Decoded twice, and kept neither time: a text that is wrong at its end has no runs.
            before, behind = _around(raw)
            items = chain.from_iterable(part for part in _parts(raw) if isinstance(part, list))
            return items if before is None else {**before, "runs": items, **behind}
    return parse_json(raw.decode(), file)


def _around(raw: bytes) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the members of a table before and behind its list of runs; None for a list alone. Raises as `_parts` does."""
    around = [part for part in _parts(raw) if isinstance(part, str)]
    if not around:
        return None, {}
    before, behind = (_JSON.decode(part) for part in around)
    del before["runs"], behind["runs"]
    if before.keys() & behind.keys():
        raise _DuplicateKeyError
    return before, behind


def _parts(raw: bytes) -> Iterator[list[Any] | str]:
    """Yield the items of the list of runs in a JSON text in parts; where it is a member of a table, what stands before and
    behind it, with 0 in its place.

    Raises ValueError or LookupError for another text, and for one that is not cut easily. What stands up to a cut is a
    list of items if it is JSON, since within an item a bracket or a quote is open.
    """
    read = partial(lines_of(raw).read, _WINDOW)
    text = read()
    member = None if _LIST.match(text) else _MEMBER.search(text)
    begin = member or _LIST.match(text)
    if begin is None:
        raise ValueError
    if member:
        yield f'{text[: member.start()]}"runs": 0}}'
    text = text[begin.end() :]
    last, between = _ENDS[text[:1]]
    while piece := read():
        cut = len(text)
        while not (behind := between.match(text, cut)):
            cut = text.rindex(last, 0, cut - 1) + 1
        yield _JSON.decode(f"[{text[:cut]}]")
        text = text[behind.end() :] + piece
    items, end = _JSON.raw_decode(f"[{text}")
    yield items
    rest = text[end - 1 :]
    if member:
        yield f'{{"runs": 0{rest}'
    elif rest.strip(" \t\r\n"):
        raise ValueError


def parse_jsonl(lines: Iterable[str], file: str) -> Iterator[Any]:
    """Yield the values of JSON Lines; raise BatchfileError."""
    for number, line in json_lines(lines):
        yield parse_json(line, file, number)


def json_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines of JSON Lines that are not blank, without their ends, with their numbers from 1."""
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            yield number, line.removesuffix("\n")


def _constant(text: str) -> int:
    """Return the offset of the first NaN or Infinity outside strings."""
    tokens = _TOKEN.finditer(text)
    return next((m.start() for m in tokens if m.group() in ("NaN", "Infinity", "-Infinity")), 0)


def _duplicate(text: str) -> tuple[str, int]:
    """Return the first key that an object has twice, and the offset of the second."""
    seen = set()
    for where, offset in json_keys(text):
        if where in seen:
            return str(where[-1]), offset
        seen.add(where)
    return "", 0


def json_keys(text: str) -> Iterator[tuple[Where, int]]:
    """Yield the path and the offset of every key and every item of a JSON text."""
    frames: list[Frame] = []
    for match in _TOKEN.finditer(text):
        token, frame = match.group(), frames[-1] if frames else None
        if token in "]}":
            frames.pop()
        elif token == ",":
            if frame is not None:
                frame.advance()
        elif frame is not None and frame.wants_key:
            if token != ":":
                frame.name(json.loads(token))
                yield frame.here, match.start()
        elif token != ":":
            here = frame.here if frame is not None else ()
            if frame is not None and frame.index is not None:
                yield here, match.start()
            if token in "[{":
                frames.append(Frame(here, 0 if token == "[" else None))
