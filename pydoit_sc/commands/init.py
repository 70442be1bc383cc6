"""`init`: begin a project in a folder, from a template."""

from __future__ import annotations

import os
import shlex
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.commands.base import Command
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
        try:
            os.makedirs(folder, exist_ok=True)
            for file in FILES:
                text = json_schema() if file == SCHEMA else read_template(f"init/{file}")
                if file == "batchfile.toml":
                    text = text.format(name=name)
                with open(os.path.join(folder, file), "x", encoding="utf-8") as new:
                    new.write(text)
        except OSError as error:
            raise InvalidCommand(f"init: {error.filename}: {error.strerror}") from error
        go = "" if folder == "." else f"cd {shlex.quote(folder)} && "
        print(f"wrote {', '.join(FILES)} in {folder}; next: {go}pydoit-sc plan")
        return 0
