"""The tables of a list: each of its runs, and what a run list says beside them."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from pydoit_sc.batchfile.fields import Command, HomePaths, MaxFailures, Nprocs, Place, RunName, Text
from pydoit_sc.batchfile.tables import AttemptTable, Table


class RunTable(AttemptTable):
    """A run of a plain list, `[[runs]]`."""

    what = "a run (a table with `cmd`)"
    misplaced = dict.fromkeys(
        ("after", "matrix"), "makes no sense in a plain list of runs; write stages, [runs.NAME]"
    )

    cmd: Command = Field(description="the shell command")
    name: RunName | None = Field(
        default=None, description="name of the run; left out: its position in the list"
    )
    file_dep: HomePaths = Field(
        default=(), description="files, folders and patterns; an edit makes completed runs stale"
    )


class ListedRun(RunTable):
    """A run of a run list; `sc` writes the last four keys."""

    remote_output_path: Text | None = Field(
        default=None, description="where the output goes, below the list's own"
    )
    local_results_dir: Text | None = Field(default=None, description="read by `sc` alone")
    status_code: Any = Field(default=None, description="not read")
    status: Any = Field(default=None, description="not read")


class ListTable(Table):
    """What is read of a run list beside its runs; `sc` and its users write more into it."""

    model_config = ConfigDict(extra="ignore")

    nprocs: Nprocs | None = None
    max_failures: MaxFailures | None = None
    remote_output_path: Place | None = None
