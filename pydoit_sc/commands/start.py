"""`start`: start a Saturn Cloud resource."""

from __future__ import annotations

from typing import Any

from pydoit_sc.commands.base import OPT_OWNER, Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.saturn.job import connect
from pydoit_sc.saturn.models import resource_id


class StartCommand(Command):
    """Start a resource."""

    name = "start"
    doc_usage = "TYPE NAME"
    doc_description = "TYPE is deployment, job or workspace."
    cmd_options = (
        OPT_OWNER,
        flag("debug", "open SSH, and leave a machine on after its command has failed"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Start it and say so."""
        kind, name = self.each(words, "TYPE NAME")
        with connect() as client:
            recipe = client.get_recipe(kind, name, options["owner"])
            client.start(recipe["type"], resource_id(recipe), debug=options["debug"])
        print(done("Started", kind, name, options["owner"]))
        return 0


def done(what: str, kind: str, name: str, owner: str | None) -> str:
    """Return the line that reports what was done to a resource, in the words of the seed's client."""
    return f"{what} {kind} {name}" + (f" for {owner}" if owner else "")
