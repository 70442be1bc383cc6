"""`clone`: make a Saturn Cloud resource like another one, a job like a workspace."""

from __future__ import annotations

from typing import Any

from pydoit_sc.commands.base import OPT_OWNER, Command
from pydoit_sc.commands.parsing import option
from pydoit_sc.saturn.clone import Clone
from pydoit_sc.saturn.job import connect
from pydoit_sc.saturn.models import resource_type

#: What only some types of resources have.
_OF = {"command": ("job", "deployment"), "ide": ("workspace",), "disk_space": ("workspace",)}


class CloneCommand(Command):
    """Make a resource like another one."""

    name = "clone"
    doc_usage = "TYPE NAME NEWTYPE NEWNAME"
    doc_description = "TYPE and NEWTYPE are deployment, job or workspace."
    cmd_options = (
        option("command", "what the new job or deployment executes; `split` replaces it"),
        option("ide", "of the new workspace"),
        option("disk_space", "of the new workspace; `options --option-type disk_space` lists them"),
        OPT_OWNER,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Create the resource and say so."""
        kind, name, new_kind, new_name = self.each(words, "TYPE NAME NEWTYPE NEWNAME")
        made = resource_type(new_kind)
        self.refuse_beside(f"a new {made}", (one for one, kinds in _OF.items() if made not in kinds))
        wishes = Clone(
            new_kind, new_name, options["command"], options["ide"], options["disk_space"], options["owner"]
        )
        with connect() as client:
            recipe = client.clone(kind, name, wishes)
        print(f"Created {recipe['type']} {new_name} for {recipe['spec'].get('owner')} from {kind} {name}")
        return 0
