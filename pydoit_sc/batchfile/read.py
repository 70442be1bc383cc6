"""Bytes to data: one document of TOML, JSON, JSON Lines, YAML or CSV, or the one problem that prevents it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydoit_sc.batchfile.errors import BatchfileError, Problem

if TYPE_CHECKING:
    from yaml.nodes import Node

FORMATS = {
    ".toml": "toml",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".csv": "csv",
}

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Document:
    """A file's text and the data in it."""

    file: str  # as messages name it
    format: str  # one of FORMATS' values
    text: str
    data: Any
    root: Node | None = None  # YAML's own tree, which has the places


def read(path: str, file: str) -> Document:
    """Read the file at `path`; raise BatchfileError, in which it is called `file`."""
    text = read_text(path, file)
    kind = FORMATS.get(os.path.splitext(path)[1].lower()) or _sniff(text)
    try:
        if kind == "yaml":
            from pydoit_sc.batchfile.yamlfile import parse_yaml  # noqa: PLC0415 - yaml is slow to import

            root, data = parse_yaml(text, file)
            return Document(file, kind, text, data, root)
        return Document(file, kind, text, _PARSERS[kind](text, file))
    except RecursionError:
        raise failure(file, "nested too deeply to be read") from None


def failure(file: str, message: str, line: int | None = None, column: int | None = None) -> BatchfileError:
    """Return the error of a file that has one problem."""
    return BatchfileError([Problem(file, line, column, message)])


def place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of an offset into `text`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def read_text(path: str, file: str) -> str:
    """Return a file's text; raise BatchfileError if it has none."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except FileNotFoundError:
        raise failure(file, "no such file") from None
    except IsADirectoryError:
        raise failure(file, "is a folder, expected a file") from None
    except (OSError, ValueError) as error:
        raise failure(file, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    text = _decode(raw, file)
    if not text.strip():
        raise failure(file, "empty file")
    if (nul := text.find("\0")) >= 0:
        raise failure(file, "a NUL character; is this a text file?", *place(text, nul))
    return text


def _decode(raw: bytes, file: str) -> str:
    skipped = len(_BOM) if raw.startswith(_BOM) else 0
    try:
        return raw[skipped:].decode()
    except UnicodeDecodeError as error:
        start = error.start + skipped
        before = raw[skipped:start].decode()
        line, column = place(before, len(before))
        raise failure(file, f"not UTF-8 at byte {start:,} (0x{raw[start]:02x})", line, column) from None


def _sniff(text: str) -> str:
    """Tell the format of a file whose name does not."""
    line = next(
        (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), ""
    )
    if re.match(r"\s*(\[\[?\s*[A-Za-z]|[\w.-]+\s*=)", line):
        return "toml"
    if re.match(r"\s*\{.*\}\s*\n\s*\{", text):
        return "jsonl"
    if re.match(r"\s*[{[]", line):
        return "json"
    if "cmd" in [cell.strip().strip('"') for cell in line.split(",")]:
        return "csv"
    return "yaml"


def _parse_toml(text: str, file: str) -> dict[str, Any]:
    import tomli  # noqa: PLC0415 - a chunk needs none

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise failure(file, f"not TOML: {error.msg}", error.lineno, error.colno) from None
    except ValueError as error:
        raise failure(file, f"not TOML: {error}") from None


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
    """Parse JSON that starts at line `first_line` of the file; raise BatchfileError."""
    try:
        return _JSON.decode(text)
    except json.JSONDecodeError as error:
        message, offset = f"not JSON: {error.msg}", error.pos
    except _ConstantError as error:
        message, offset = f"not JSON: {error} is not a number of JSON", json_constant(text)
    except _DuplicateKeyError:
        key, offset = json_duplicate(text)
        message = f"the key `{key}` is given twice"
    except ValueError as error:
        raise failure(file, f"not JSON: {error}", first_line) from None
    line, column = place(text, offset)
    raise failure(file, message, first_line + line - 1, column)


def _parse_jsonl(text: str, file: str) -> list[Any]:
    return [parse_json(line, file, number) for number, line in json_lines(text)]


def json_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines of JSON Lines that are not blank, with their numbers from 1."""
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if not line.isspace() and line]


def json_constant(text: str) -> int:
    """Return the offset of the first NaN or Infinity outside strings."""
    from pydoit_sc.batchfile.places import JSON_TOKEN  # noqa: PLC0415 - only when something is wrong

    tokens = JSON_TOKEN.finditer(text)
    return next((m.start() for m in tokens if m.group() in ("NaN", "Infinity", "-Infinity")), 0)


def json_duplicate(text: str) -> tuple[str, int]:
    """Return the first key that an object has twice, and the offset of the second."""
    from pydoit_sc.batchfile.places import json_keys  # noqa: PLC0415 - only when something is wrong

    seen = set()
    for where, offset in json_keys(text):
        if where in seen:
            return str(where[-1]), offset
        seen.add(where)
    return "", 0


def parse_csv(text: str, file: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has a header row; raise BatchfileError."""
    rows = csv_rows(text, file)
    if not rows:
        raise failure(file, "no header row")
    header_line, header = rows[0]
    header = [cell.strip() for cell in header]
    for column in header:
        if not column or header.count(column) > 1:
            what = f"the column `{column}` is there twice" if column else "a column has no name"
            raise failure(file, what, header_line)
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise failure(file, f"expected {len(header)} cells as in the header, found {len(row)}", line)
    return [dict(zip(header, row, strict=True)) for _, row in rows[1:]]


def csv_rows(text: str, file: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, with the lines they start on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, line = [], 1
    try:
        for row in reader:
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise failure(file, f"not CSV: {error}", line) from None
    return rows


_PARSERS = {"toml": _parse_toml, "json": parse_json, "jsonl": _parse_jsonl, "csv": parse_csv}
