"""`init`: begin a project in a folder, from a template."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.commands.base import Command
from pydoit_sc.errors import reason
from pydoit_sc.files import naming
from pydoit_sc.templates import read_template

SCHEMA = "batchfile.schema.json"
FILES = ("batchfile.toml", SCHEMA, "work.py", "doit.cfg")


class InitCommand(Command):
    """Write a first batchfile with its schema, a script and doit.cfg."""

    name = "init"
    doc_usage = "[FOLDER]"
    doc_description = "Nothing that exists is overwritten."

    def call(self, _options: dict[str, Any], words: list[str]) -> int:
        """Write the files; exit code 3 if one of them exists already."""
        from pydoit_sc.batchfile.jsonschema import json_schema  # noqa: PLC0415 - help needs no pydantic

        folder = self.one(words or ["."], "one FOLDER at most")
        there = [name for name in FILES if os.path.lexists(os.path.join(folder, name))]
        if there:
            raise InvalidCommand(f"init: {folder} has {', '.join(there)} already; nothing was written")
        name = "".join(
            c if c.isalnum() or c in "-_" else "-" for c in os.path.basename(os.path.abspath(folder))
        )
        texts = {file: json_schema() if file == SCHEMA else read_template(f"init/{file}") for file in FILES}
        texts["batchfile.toml"] = texts["batchfile.toml"].format(name=name)
        try:
            _write(folder, texts)
        except OSError as error:
            raise InvalidCommand(f"init: {reason(error)}") from error
        go = "" if folder == "." else f"cd {shlex.quote(folder)} && "
        print(f"wrote {', '.join(FILES)} in {folder}; next: {go}pydoit-sc plan")
        return 0


def _write(folder: str, texts: Mapping[str, str]) -> None:
    """Write new files into a folder, all or none; raises OSError."""
    made: list[str] = []
    try:
        os.makedirs(folder, exist_ok=True)
        for file, text in texts.items():
            path = os.path.join(folder, file)
            with naming(path), open(path, "x", encoding="utf-8") as new:
                made.append(path)
                new.write(text)
    except OSError:
        for path in made:
            os.unlink(path)
        raise
