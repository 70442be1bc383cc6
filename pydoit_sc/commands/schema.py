"""`schema`: print the JSON schema of batchfile.toml."""

from __future__ import annotations

from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.show.screen import data_output


class SchemaCommand(Command):
    """Print a schema."""

    name = "schema"
    doc_usage = ""
    doc_description = (
        "Editors with Taplo or Even Better TOML complete and check a batchfile whose first line is "
        "`#:schema ./batchfile.schema.json`, as `init` writes it."
    )

    def call(self, _options: dict[str, Any], words: list[str]) -> int:
        """Print the schema, with the tables of the engines that are installed."""
        from pydoit_sc.batchfile.jsonschema import json_schema  # noqa: PLC0415 - help needs no pydantic

        self.each(words, "")
        with data_output() as stream:
            stream.write(json_schema())
        return 0
