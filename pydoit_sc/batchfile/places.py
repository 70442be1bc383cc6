"""Where a value stands in its file: line and column, looked up only when something is wrong.

The texts given here have been parsed already, so these scanners may trust their syntax and only track keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydoit_sc.batchfile.errors import Where
from pydoit_sc.batchfile.read import Document, csv_rows, json_lines, place

if TYPE_CHECKING:
    from yaml.nodes import Node

Place = tuple[int | None, int | None]  # line and column, from 1

JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{},:]|[^][{},:"\s]+')

_TOML_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[][{},=.\n]"
    r"""|[^\s\[\]{},=."'#]+""",
    re.DOTALL,
)


def find(document: Document, wanted: Set[Where]) -> dict[Where, Place]:
    """Return the place of every wanted value: of its key, or of the nearest thing around it."""
    parts = {where[:n] for where in wanted for n in range(1, len(where) + 1)}
    known: dict[Where, Place] = {}
    for where, position in _positions(document):
        if where in parts:
            known.setdefault(where, place(document.text, position) if isinstance(position, int) else position)
    return {where: _nearest(where, known) for where in wanted}


def _nearest(where: Where, known: dict[Where, Place]) -> Place:
    while where and where not in known:
        where = where[:-1]
    return known.get(where, (None, None))


def _positions(document: Document) -> Iterator[tuple[Where, int | Place]]:
    """Yield the paths of a document, each with its offset, or with its place where that costs nothing."""
    text = document.text
    if document.format == "toml":
        yield from toml_keys(text)
    elif document.format == "json":
        yield from json_keys(text)
    elif document.format == "jsonl":
        for i, (number, line) in enumerate(json_lines(text)):
            yield from (((i, *where), (number, offset + 1)) for where, offset in json_keys(line))
    elif document.format == "yaml" and document.root is not None:
        yield from _yaml_keys(document.root)
    elif document.format == "csv":
        yield from (((i,), (line, None)) for i, (line, _) in enumerate(csv_rows(text, document.file)[1:]))


def json_keys(text: str) -> Iterator[tuple[Where, int]]:
    """Yield the path and the offset of every key and every item of a JSON text."""
    frames: list[_Frame] = []
    for match in JSON_TOKEN.finditer(text):
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
                frames.append(_Frame(here, 0 if token == "[" else None))


@dataclass
class _Frame:
    """An open list or table."""

    path: Where
    index: int | None = None  # of a list's item; None in a table
    key: Where = ()  # of a table's member, dotted keys have several parts
    wants_key: bool = field(init=False)

    def __post_init__(self) -> None:
        self.wants_key = self.index is None

    @property
    def here(self) -> Where:
        return (*self.path, *self.key) if self.index is None else (*self.path, self.index)

    def advance(self) -> None:
        if self.index is None:
            self.key, self.wants_key = (), True
        else:
            self.index += 1

    def name(self, part: str) -> None:
        self.key, self.wants_key = (*self.key, part), False


def toml_keys(text: str) -> Iterator[tuple[Where, int]]:
    """Yield the path and the offset of every table, key and list item of a TOML text."""
    scanner = _Toml()
    for match in _TOML_TOKEN.finditer(text):
        token = match.group()
        if token[0] != "#":
            yield from scanner.take(token, match.start())


class _Toml:
    """Follows the tokens of a TOML text and tells which path each of them begins."""

    def __init__(self) -> None:
        self.frames = [_Frame(())]
        self.header: list[str] | None = None  # the parts of a table's header that is being read
        self.is_array = False
        self.start = 0  # of the header
        self.lengths: dict[Where, int] = {}  # of arrays of tables

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
            self.header, self.frames = None, [_Frame(path)]
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

    def _in_key(self, token: str, frame: _Frame) -> list[Where]:
        if token == "=":
            frame.wants_key = False
        elif token == "}":
            self.frames.pop()
        elif token not in (".", ",", "]"):  # "]" is the second one of an array of tables
            frame.key = (*frame.key, _toml_key(token))
            return [frame.here]
        return []

    def _in_value(self, token: str, frame: _Frame) -> list[Where]:
        if token in "]}":
            self.frames.pop()
            return []
        if token == ",":
            frame.advance()
            return []
        if token in "[{":
            self.frames.append(_Frame(frame.here, 0 if token == "[" else None))
        return [frame.here] if frame.index is not None and token != "." else []


def _toml_key(token: str) -> str:
    if token[0] == '"':
        import tomli  # noqa: PLC0415 - only for keys with escapes, on the way to an error

        return str(tomli.loads(f"key = {token}")["key"])
    return token.strip("'")


def _yaml_keys(root: Node) -> Iterator[tuple[Where, Place]]:
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode  # noqa: PLC0415 - yaml is slow to import

    stack: list[tuple[Where, Node]] = [((), root)]
    while stack:
        path, node = stack.pop()
        members: list[tuple[str | int, Node, Node]] = []
        if isinstance(node, MappingNode):
            members = [(key.value, key, value) for key, value in node.value if isinstance(key, ScalarNode)]
        elif isinstance(node, SequenceNode):
            members = [(i, item, item) for i, item in enumerate(node.value)]
        for key, marked, value in members:
            yield (*path, key), (marked.start_mark.line + 1, marked.start_mark.column + 1)
            stack.append(((*path, key), value))
