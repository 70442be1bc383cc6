"""`apply`: create or update a Saturn Cloud resource from its recipe, and start it if asked."""

from __future__ import annotations

import os
from typing import Any

from pydoit_sc.commands.base import OPT_BASE_URL, OPT_SYNC, Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.errors import RecipeError
from pydoit_sc.saturn.job import apply, connect, said
from pydoit_sc.saturn.models import Recipe
from pydoit_sc.saturn.script import set_block
from pydoit_sc.sync.code import Staging
from pydoit_sc.sync.upload import parse_sync


class ApplyCommand(Command):
    """Create or update a resource."""

    name = "apply"
    doc_usage = "RECIPE"
    doc_description = (
        "RECIPE is a file in YAML or JSON, such as `split` writes. With --sync the folders take the place of "
        "those that the recipe fetches."
    )
    cmd_options = (
        flag("start", "start the resource then"),
        OPT_SYNC,
        OPT_BASE_URL,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Apply the recipe and say so."""
        file = self.one(words, "a RECIPE")
        recipe = recipes.read(file)
        if options["sync"]:
            _sync(recipe, file, options["sync"], options["file_syncs_base_dir_url"])
        apply(recipe, print, start=options["start"])
        return 0


def _sync(recipe: Recipe, file: str, texts: list[str], base_url: str | None) -> None:
    working = recipe["spec"].get("working_directory")
    syncs = [parse_sync(text, working, os.getcwd()) for text in texts]
    if base_url is None:
        name = said(recipe["spec"], "name")
        if not isinstance(name, str):
            raise RecipeError(f"{file}: `spec` has no `name`, by which the folders are staged; add one")
        with connect() as client:
            base_url = client.default_sync_url(name)
    set_block(recipe, Staging(syncs, base_url).stage_all(print))
