"""TOML, and the places of its keys: the text was parsed before, so the scanner may trust its syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import tomli

from pydoit_sc.batchfile.document import Frame, failure, place
from pydoit_sc.batchfile.errors import BatchfileError, Where

#: For texts in which something is wrong: compiled only then.
_UNQUOTED = r"""\s*[\w.-]+\s*=\s*([^\s"'\[{#=][^#']*?)\s*(?:#.*)?$"""
_WORD = r"""([A-Za-z_./~$][^\s,\]}#"'=]*)\s*(?:[,\]}#]|$)"""

#: How tomli's messages begin where a key or a table is given that is there.
_TWICE = ("Cannot ", "Duplicate ")

_TOKEN = (
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[][{},=.\n]"
    r"""|[^\s\[\]{},=."'#]+"""
)


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """Return the data of a TOML text; raise BatchfileError."""
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        if error.msg.startswith(_TWICE):
            raise _twice(text.replace("\r\n", "\n"), file, error.pos) from None
        unread = error.msg.startswith(("Invalid value", "Expected newline"))
        hint = _quotes(text.split("\n")[error.lineno - 1], error.colno - 1) if unread else ""
        if hint and "storage_options" in text:  # it may be a secret
            hint = hint.partition(", ")[0]
        raise failure(file, f"not TOML: {error.msg}{hint}", error.lineno, error.colno) from None
    except ValueError as error:
        raise failure(file, f"not TOML: {error}") from None


def _twice(text: str, file: str, end: int) -> BatchfileError:
    """Return the error of a text that gives a key or a table, right before the offset `end`, which is there already."""
    scanner = _Toml()
    places = list(scanner.read(text[:end]))
    is_table = scanner.header is not None
    if is_table:
        places += scanner.take("]", end)
    where = scanner.frames[-1].here
    if scanner.is_array and is_table:
        where = where[:-1]
    first, last = dict(reversed(places)), dict(places)
    parts = range(len(where), 0, -1)
    known = next((where[:n] for n in parts if first[where[:n]] < last[where[:n]]), where)
    line, _ = place(text, first[known])
    if known != where:
        added = ".".join(map(str, where[len(known) :]))
        said = f"`{'.'.join(map(str, known))}` is given in line {line:,}; write `{added}` there"
    else:
        name = text[last[where] : end].strip("[ \t")
        what = f"table [{name}]" if is_table else f"key `{where[-1]}`"
        said = f"the {what} is given twice; the first is in line {line:,}"
    return failure(file, said, *place(text, last[where]))


def _quotes(line: str, column: int) -> str:
    """Return the advice to a word that is no value, at a column of a line or behind the line's key."""
    match = re.match(_UNQUOTED, line) or re.compile(_WORD).match(line, column)
    if match is None:
        return ""
    value = match[1]
    if value.lower() in ("true", "false"):
        return f"; write `{value.lower()}`"
    quoted = f"'{value}'" if '"' in value or "\\" in value else f'"{value}"'
    return f"; a text stands in quotes, {quoted}"


def toml_keys(text: str) -> Iterator[tuple[Where, int]]:
    """Return the path and the offset of every table, key and list item of a TOML text, in their order."""
    return _Toml().read(text)


class _Toml:
    """Follows the tokens of a TOML text and tells which path each of them begins."""

    def __init__(self) -> None:
        self.frames = [Frame(())]
        self.header: list[str] | None = None  # the parts of a table's header that is being read
        self.is_array = False
        self.start = 0  # of the header
        self.lengths: dict[Where, int] = {}  # of arrays of tables

    def read(self, text: str) -> Iterator[tuple[Where, int]]:
        """Yield the paths that a text gives, with their offsets."""
        for match in re.finditer(_TOKEN, text, re.DOTALL):
            token = match.group()
            if token[0] != "#":
                yield from self.take(token, match.start())

    def take(self, token: str, offset: int) -> list[tuple[Where, int]]:
        frame = self.frames[-1]
        if self.header is not None:
            return [(where, self.start) for where in self._in_header(token, self.header)]
        if token == "\n":
            if len(self.frames) == 1:
                frame.advance()
            return []
        if token == "[" and frame.wants_key and not frame.key:
            self.header, self.start, self.is_array = [], offset, False
            return []
        step = self._in_key if frame.wants_key else self._in_value
        return [(where, offset) for where in step(token, frame)]

    def _in_header(self, token: str, parts: list[str]) -> list[Where]:
        if token == "[":
            self.is_array = True
        elif token == "]":
            if self.is_array:
                array = (*self._table(parts[:-1]), parts[-1])
                self.lengths[array] = self.lengths.get(array, 0) + 1
            path = self._table(parts)
            self.header, self.frames = None, [Frame(path)]
            return [path[:n] for n in range(1, len(path) + 1)]
        elif token != ".":
            parts.append(_toml_key(token))
        return []

    def _table(self, parts: list[str]) -> Where:
        """Return the path of a header, with the positions of the arrays of tables in it."""
        path: Where = ()
        for part in parts:
            path = (*path, part)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    def _in_key(self, token: str, frame: Frame) -> list[Where]:
        if token == "=":
            frame.wants_key = False
        elif token == "}":
            self.frames.pop()
        elif token not in (".", ",", "]"):  # "]" is the second one of an array of tables
            frame.key = (*frame.key, _toml_key(token))
            return [frame.here]
        return []

    def _in_value(self, token: str, frame: Frame) -> list[Where]:
        if token in "]}":
            self.frames.pop()
            return []
        if token == ",":
            frame.advance()
            return []
        if token in "[{":
            self.frames.append(Frame(frame.here, 0 if token == "[" else None))
        return [frame.here] if frame.index is not None and token != "." else []


def _toml_key(token: str) -> str:
    if token[0] == '"':
        return str(tomli.loads(f"key = {token}")["key"])
    return token.strip("'")
