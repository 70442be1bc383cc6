"""`batch`: the worker, which executes a chunk."""

from __future__ import annotations

from typing import Any

from pydoit_sc.chunks.read import read_chunk_at
from pydoit_sc.commands.base import OPT_QUIET, Command
from pydoit_sc.commands.parsing import flag, option, parse_nprocs, parse_table
from pydoit_sc.worker.execute import execute_chunk


class BatchCommand(Command):
    """Execute a chunk."""

    name = "batch"
    doc_usage = "CHUNK"
    doc_description = (
        "Takes a chunk of `split`, ours or of the published `sc`, or a run list, by its path or URL. What the chunk's "
        "submission has completed already is not executed again.\n"
        "\n"
        "Exit code: 0 when every run has been published, whatever its code (--strict: 1 if one failed), "
        "2 if something could not be executed, 3 bad input, 75 if the machine's time was too short for the rest, "
        "1 if too many have failed (`max_failures`, or 20 alike while none is completed) and runs are left, 128+n stopped by signal n."
    )
    cmd_options = (
        option(
            "nprocs",
            'runs at once [default: what the chunk says]; where that is "gpus", the most of them, and each keeps its own GPU',
            short="n",
        ),
        flag("strict", "exit with 1 if a run failed"),
        option("storage_options", "fsspec's, as JSON, to read a chunk at a URL", default=""),
        OPT_QUIET,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Execute the chunk and return the exit code."""
        nprocs = parse_nprocs(options["nprocs"])
        storage_options = parse_table(options["storage_options"], "--storage-options")
        chunk = read_chunk_at(self.one(words, "a chunk"), storage_options)
        return execute_chunk(chunk, nprocs, strict=options["strict"], quiet=options["quiet"])
