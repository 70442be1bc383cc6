"""`options`: list what Saturn Cloud offers: instance types, disk sizes, times after which it shuts off."""

from __future__ import annotations

from pprint import pformat
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import option
from pydoit_sc.saturn.job import connect


class ServerOptionsCommand(Command):
    """List Saturn Cloud's options."""

    name = "options"
    doc_usage = ""
    cmd_options = (
        option("option_type", "sizes, disk_space or auto_shutoff [default: %(default)s]", default="sizes"),
        option("glob", "only names that match, such as 'g4*'"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print one option after another; instance types by their GPUs, then their cores."""
        self.each(words, "")
        kind, glob = options["option_type"], options["glob"]
        found: list[Any]
        with connect() as client:
            if kind == "sizes":
                found = [size.model_dump() for size in client.sizes(glob)]
            else:
                found = list(client.options(kind, glob))
        for one in found:
            print(pformat(one))
        return 0
