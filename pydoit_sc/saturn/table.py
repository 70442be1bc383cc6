"""The table [saturn] of a batchfile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pydoit_sc.batchfile.fields import Bool, Expected, HomePath, HomePaths, Script, Text, Texts
from pydoit_sc.batchfile.tables import Table


class SaturnTable(Table):
    """`[saturn]`: the job in Saturn Cloud."""

    recipe: HomePath | None = Field(
        default=None, description="recipe of the job, a file as `pydoit-sc get job NAME` prints it; required"
    )
    name: Text | None = Field(default=None, description="name of the job; left out: the recipe's")
    owner: Text | None = Field(
        default=None, description="owner of the job, `ORG/USER`; left out: the recipe's"
    )
    instance_type: Text | None = Field(
        default=None,
        description="machines of the job, as `pydoit-sc options` lists them; left out: the recipe's",
    )
    sync: HomePaths = Field(
        default=(),
        description="folders to send, as `SRC` or `SRC:DEST`, after those of [sync]; SRC counts from the batchfile's folder, DEST "
        "from the recipe's `working_directory`, where runs are executed",
    )
    exclude: Texts = Field(
        default=(),
        description="what is left out of the folders, as in a .gitignore; outputs and archives in them are left out anyway",
    )
    file_syncs_base_dir_url: Text | None = Field(
        default=None,
        description="URL below which archives are staged, or a path that counts from the batchfile's folder; left out: "
        "`sfs://ORG/USER/NAME/`",
    )
    commands_directory: HomePath | None = Field(
        default=None, description="local folder of chunks and recipe; left out: `.pydoit_sc/commands`"
    )
    worker: Annotated[Literal["pydoit-sc", "sc"], Expected('"pydoit-sc" or "sc"')] = Field(
        default="pydoit-sc",
        description='program that executes chunks: `"pydoit-sc"`, or `"sc"` for images that have only the published client, which has no '
        "timeouts, retries, environment or shell of a batchfile, or provenance",
    )
    worker_install: Script = Field(default="", description="lines of shell that install the worker")
    start: Bool = Field(default=False, description="whether `doit apply` starts the job")
