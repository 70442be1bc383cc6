"""The place of a value in its file: line and column, looked up only when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import islice

from pydoit_sc.batchfile.csvfile import csv_rows
from pydoit_sc.batchfile.document import Document, Place, lines_of, place
from pydoit_sc.batchfile.errors import Where
from pydoit_sc.batchfile.jsonfile import json_keys, json_lines
from pydoit_sc.batchfile.plainlist import command_lines

#: For a text in which something is wrong: compiled only then.
_VALUE = r"""(?P<key>"(?:[^"\\]|\\.)*"|'[^']*'|[^:=\s"']+)\s*[:=]\s*(?P<value>[^\s,}\]#"'][^\s,}\]#]*)\s*(?:[,}\]]|\#|$)"""


def find(document: Document, wanted: Set[Where]) -> dict[Where, Place]:
    """Return the place of every wanted value: of its key, or of the nearest thing around it."""
    parts = {where[:n] for where in wanted for n in range(1, len(where) + 1)}
    known: dict[Where, Place] = {}
    text = document.text
    for where, position in _positions(document, text):
        if where in parts:
            known.setdefault(where, place(text, position) if isinstance(position, int) else position)
    return {where: _nearest(where, known) for where in wanted}


def source_text(document: Document, where: Where, at: Place) -> str | None:
    """Return the text of a key's value as the file writes it, where it is a plain word behind its key, which is `at`."""
    line, column = at
    if line is None or column is None or not where:
        return None
    match = re.compile(_VALUE).match(document.text.split("\n")[line - 1], column - 1)
    return match["value"] if match and where[-1] in (match["key"], match["key"].strip("\"'")) else None


def _nearest(where: Where, known: dict[Where, Place]) -> Place:
    while where and where not in known:
        where = where[:-1]
    return known.get(where, (None, None))


def _positions(document: Document, text: str) -> Iterator[tuple[Where, int | Place]]:
    """Yield the paths of a document, each with its offset, or with its place where that costs nothing."""
    if document.format == "toml":
        from pydoit_sc.batchfile.tomlfile import toml_keys  # noqa: PLC0415 - a chunk needs no tomli

        yield from toml_keys(text)
    elif document.format == "json":
        yield from json_keys(text)
    elif document.format == "jsonl":
        for i, (number, line) in enumerate(json_lines(lines_of(document.raw))):
            yield (i,), (number, None)
            yield from (((i, *where), (number, offset + 1)) for where, offset in json_keys(line))
    elif document.format == "yaml":
        from pydoit_sc.batchfile.yamlfile import yaml_keys  # noqa: PLC0415 - yaml is slow to import

        yield from yaml_keys(text)
    elif document.format == "lines":
        yield from (((i,), (line, None)) for i, (line, _) in enumerate(command_lines(lines_of(document.raw))))
    elif document.format == "csv":
        rows = islice(csv_rows(lines_of(document.raw, ""), document.file), 1, None)
        yield from (((i,), (line, None)) for i, (line, _) in enumerate(rows))
