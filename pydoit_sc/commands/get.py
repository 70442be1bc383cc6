"""`get`: print the recipe of a Saturn Cloud resource."""

from __future__ import annotations

import json
from typing import Any

from pydoit_sc.commands.base import OPT_OWNER, Command
from pydoit_sc.commands.parsing import flag, json_option, option, parse_format
from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.job import connect
from pydoit_sc.saturn.models import Recipe
from pydoit_sc.show.screen import data_output
from pydoit_sc.show.tables import table

FORMATS = ("yaml", "json", "table")
HEADERS = ("owner", "name", "resource_type", "status", "instance_type", "scale", "id")


class GetCommand(Command):
    """Print a recipe."""

    name = "get"
    doc_usage = "TYPE NAME"
    doc_description = "TYPE is deployment, job or workspace."
    cmd_options = (
        OPT_OWNER,
        flag("as_template", "without what belongs to this one resource, to make others of it"),
        option("output", f"one of {', '.join(FORMATS)} [default: %(default)s]", short="o", default="yaml"),
        json_option("the recipe, as `-o json`"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the recipe."""
        kind, name = self.each(words, "TYPE NAME")
        form = parse_format({**options, "output": options["output"].lower()}, FORMATS, self.given, "output")
        with connect() as client:
            recipe = client.get_recipe(kind, name, options["owner"], as_template=options["as_template"])
        if form == "yaml":
            with data_output() as stream:
                stream.write(recipes.dumps(recipe))
        elif form == "json":
            print(json.dumps(recipe, indent=2))
        else:
            print(table(HEADERS, [_row(recipe)]))
        return 0


def _row(recipe: Recipe) -> list[str]:
    spec, state = recipe["spec"], recipe.get("state") or {}
    cells = (
        spec.get("owner"),
        spec.get("name"),
        recipe["type"],
        state.get("status"),
        spec.get("instance_type"),
        spec.get("scale", 1),
        state.get("id"),
    )
    return ["" if cell is None else str(cell) for cell in cells]
