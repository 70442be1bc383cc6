"""Text to model: batchfiles, run lists and chunks become `Batch` values, or errors with their place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydoit_sc.batchfile.durations import parse_duration
from pydoit_sc.batchfile.errors import BatchfileError, Problem, nearest
from pydoit_sc.batchfile.names import check_name

if TYPE_CHECKING:
    from pydoit_sc.batch import Batch

__all__ = ["BatchfileError", "Problem", "check_name", "load", "nearest", "parse_duration"]


def load(
    path: str | os.PathLike[str], *, remote_output_path: str | None = None, names: str | None = None
) -> Batch:
    """Read a batchfile (.toml), a run list of the seed, or a list of commands, one a line, into a `Batch`; `-` is standard input.

    A run list is .json, .jsonl, .ndjson, .yaml, .yml, .csv or .tsv; the content decides about a file of another name.
    `remote_output_path` takes the place of the file's; a relative one counts from the current folder, as
    paths on a command line do. `names` is the column of a CSV or TSV file that has the names of its runs. Raises
    `BatchfileError` with every problem of the file.
    """
    from pydoit_sc.batchfile.build import build  # noqa: PLC0415 - commands that read no file stay quick

    return build(path, remote_output_path, names)
