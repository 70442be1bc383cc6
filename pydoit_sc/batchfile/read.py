"""Bytes to data: one document of TOML, JSON, JSON Lines, YAML, CSV or TSV, or the one problem that prevents it."""

from __future__ import annotations

import os
import re

from pydoit_sc.batch import PLAIN
from pydoit_sc.batchfile.csvfile import parse_csv
from pydoit_sc.batchfile.document import Document, failure, read_text
from pydoit_sc.batchfile.jsonfile import parse_json, parse_jsonl

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

_PARSERS = {"json": parse_json, "jsonl": parse_jsonl, "csv": parse_csv}


def read(path: str, file: str) -> Document:
    """Read the file at `path`; raise BatchfileError, in which it is called `file`."""
    text = read_text(path, file)
    kind = _FORMATS.get(os.path.splitext(path)[1].lower()) or _sniff(text)
    try:
        if kind == "toml":
            from pydoit_sc.batchfile.tomlfile import parse_toml  # noqa: PLC0415 - a chunk needs no tomli

            return Document(file, kind, text, parse_toml(text, file))
        if kind == "yaml":
            from pydoit_sc.batchfile.yamlfile import parse_yaml  # noqa: PLC0415 - yaml is slow to import

            root, data = parse_yaml(text, file)
            return Document(file, kind, text, data, root)
        return Document(file, kind, text, _PARSERS[kind](text, file))
    except RecursionError:
        raise failure(file, "nested too deeply to be read") from None


def has_format(path: str) -> bool:
    """Return whether the name of a file tells its format."""
    return os.path.splitext(path)[1].lower() in _FORMATS


def stage_names(path: str) -> list[str]:
    """Return the names of a batchfile's stages; what their axes read need not be there. Raises BatchfileError."""
    data = read(path, path).data
    stages = data.get("runs") if isinstance(data, dict) else None
    return list(stages) if isinstance(stages, dict) else [PLAIN]


def _sniff(text: str) -> str:
    """Return the format of a file whose name does not tell it."""
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
