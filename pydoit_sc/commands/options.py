"""`options`: list what Saturn Cloud offers: instance types, disk sizes, times after which it shuts off."""

from __future__ import annotations

import json
from pprint import pformat
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import json_option, option
from pydoit_sc.saturn.job import connect


class ServerOptionsCommand(Command):
    """List Saturn Cloud's options."""

    name = "options"
    doc_usage = ""
    cmd_options = (
        option("option_type", "sizes, disk_space or auto_shutoff [default: %(default)s]", default="sizes"),
        option("glob", "only names that match, such as 'g4*'"),
        json_option(
            "a list of them; of instance types with name, cores, gpu, memory and what else Saturn Cloud says"
        ),
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
        if options["as_json"]:
            print(json.dumps(found, indent=1))
            return 0
        for one in found:
            print(pformat(one))
        return 0
