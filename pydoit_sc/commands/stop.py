"""`stop`: stop a Saturn Cloud resource."""

from __future__ import annotations

from typing import Any

from pydoit_sc.commands.base import OPT_OWNER, Command
from pydoit_sc.commands.start import done
from pydoit_sc.saturn.job import connect
from pydoit_sc.saturn.models import resource_id


class StopCommand(Command):
    """Stop a resource."""

    name = "stop"
    doc_usage = "TYPE NAME"
    doc_description = "TYPE is deployment, job or workspace."
    cmd_options = (OPT_OWNER,)

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Stop it and say so."""
        kind, name = self.each(words, "TYPE NAME")
        with connect() as client:
            recipe = client.get_recipe(kind, name, options["owner"])
            client.stop(recipe["type"], resource_id(recipe))
        print(done("Stopped", kind, name, options["owner"]))
        return 0
