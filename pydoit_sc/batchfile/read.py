"""Bytes to data: one document of TOML, JSON, JSON Lines, YAML, CSV, TSV or commands, or the one problem that prevents it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from pydoit_sc.batch import PLAIN
from pydoit_sc.batchfile.csvfile import csv_table, first_line
from pydoit_sc.batchfile.document import STDIN, Document, failure, lines_of, read_bytes
from pydoit_sc.batchfile.jsonfile import parse_json_list, parse_jsonl
from pydoit_sc.batchfile.plainlist import command_lines
from pydoit_sc.batchfile.remote import absolute_url, expanded

_FORMATS = {
    ".toml": "toml",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".csv": "csv",
    ".tsv": "csv",
}

#: How files are called that may have a command on each line: not as programs are, whose lines would be executed one by one.
_PLAIN = ("", ".txt", ".list", ".lst", ".cmds", ".jobs", ".tasks")


def read(path: str, file: str) -> Document:
    """Read the file at `path`; raise BatchfileError, in which it is called `file`.

    The items of a list may be read as they are asked for, which raises BatchfileError, too.
    """
    raw = read_bytes(path, file)
    kind = _FORMATS.get(os.path.splitext(path)[1].lower()) or _sniff(raw)
    if kind == "lines":
        _check_plain(path, file, raw)
        return Document(file, kind, raw, _commands(raw, file))
    if kind == "csv":
        return Document(file, kind, raw, csv_table(lines_of(raw, ""), file))
    if kind == "jsonl":
        return Document(file, kind, raw, parse_jsonl(lines_of(raw), file))
    try:
        if kind == "toml":
            from pydoit_sc.batchfile.tomlfile import parse_toml  # noqa: PLC0415 - a chunk needs no tomli

            return Document(file, kind, raw, parse_toml(raw.decode(), file))
        if kind == "yaml":
            from pydoit_sc.batchfile.yamlfile import parse_yaml_list  # noqa: PLC0415 - yaml is slow to import

            return Document(file, kind, raw, parse_yaml_list(raw, file))
        return Document(file, kind, raw, parse_json_list(raw, file))
    except RecursionError:
        raise failure(file, "nested too deeply to be read") from None


def has_format(path: str) -> bool:
    """Return whether a file is called as a batchfile or a run list is."""
    return os.path.splitext(path)[1].lower() in (*_FORMATS, *filter(None, _PLAIN))


def stage_names(path: str) -> list[str]:
    """Return the names of a batchfile's stages; what their axes read need not be there. Raises BatchfileError."""
    data = read(path, path).data
    stages = data.get("runs") if isinstance(data, dict) else None
    return list(stages) if isinstance(stages, dict) else [PLAIN]


def own_root(path: str) -> str | None:
    """Return where a batchfile says its outputs go, as a URL; None where it does not. Raises BatchfileError."""
    data = read(path, path).data
    batch = data.get("batch", data) if isinstance(data, dict) else None
    said = batch.get("remote_output_path") if isinstance(batch, dict) else None
    try:
        folder = os.path.dirname(os.path.abspath(path))
        return absolute_url(expanded(said), folder) if isinstance(said, str) else None
    except ValueError:
        return None


def _check_plain(path: str, file: str, raw: bytes) -> None:
    """Raise BatchfileError for a program that is taken for a plain list."""
    if path == STDIN:
        return
    if raw.startswith(b"#!") or os.path.splitext(path)[1].lower() not in _PLAIN:
        raise failure(
            file,
            "no run list, and perhaps a program; where each of its lines is a command, give it a name *.txt or as "
            "standard input: `pydoit-sc run - --to FOLDER < FILE`",
        )


def _commands(raw: bytes, file: str) -> Iterator[str]:
    for number, command in command_lines(lines_of(raw)):
        if command.endswith("\\"):
            raise failure(file, "a command is one line, and this one ends in a backslash", number)
        yield command


#: How the first line of a file begins that is neither blank nor a comment, and that no command begins so.
_TOML = re.compile(r"\s*(\[\[?\s*[A-Za-z][\w.-]*\s*\]|[\w.-]+\s+=\s)")
_JSON = re.compile(r"""\s*(\[\s*[\[{]|\["|\{\s*"|[\[{]\s*$|\[\s*\]\s*$|\{\s*\}\s*$)""")
_YAML = re.compile(r"""(---|%YAML|- |-$|[\w"'-]+:(\s|$))""")


def _sniff(raw: bytes) -> str:
    """Return the format of a file whose name does not tell it."""
    line = first_line(lines_of(raw))
    if _TOML.match(line):
        return "toml"
    if _JSON.match(line):
        return "jsonl" if re.match(rb"\s*\{.*\}\s*\n\s*\{", raw) else "json"
    if "cmd" in [cell.strip().strip('"') for cell in re.split("[,\t]", line)]:
        return "csv"
    return "yaml" if _YAML.match(line) else "lines"
