"""`batch`: the worker, which executes a chunk."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

from pydoit_sc.batchfile.chunk import Chunk, ChunkRun, read_chunk
from pydoit_sc.commands import COMMANDS
from pydoit_sc.commands.common import Command
from pydoit_sc.commands.options import OPT_QUIET, parse_nprocs
from pydoit_sc.store import Record, StoreError, open_store
from pydoit_sc.tasks.reporter import Lasting, Progress, failure_line, make_bar
from pydoit_sc.worker.executor import Executor, Job, Limits
from pydoit_sc.worker.gpus import slots


class Batch(Command):
    """Execute a chunk."""

    name = "batch"
    doc_purpose = COMMANDS["batch"].purpose
    doc_usage = "CHUNK"
    doc_description = (
        "Takes a chunk of `split`, ours or of the published `sc`, or a run list. What the chunk's submission has "
        "completed already is not executed again.\n"
        "\n"
        "Exit code: 0 when every run has been published, whatever its code (--strict: 1 if one failed), "
        "2 if something could not be executed, 3 bad input, 128+n stopped by signal n."
    )
    cmd_options = (
        {
            "name": "nprocs",
            "short": "n",
            "long": "nprocs",
            "type": str,
            "default": None,
            "help": "runs at once [default: what the chunk says]",
        },
        {
            "name": "strict",
            "long": "strict",
            "type": bool,
            "default": False,
            "help": "exit with 1 if a run failed",
        },
        OPT_QUIET,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Execute the chunk and return the exit code."""
        nprocs = parse_nprocs(options["nprocs"])
        chunk = read_chunk(self.one(words, "a chunk"))
        return execute_chunk(chunk, nprocs, strict=options["strict"], quiet=options["quiet"])


def execute_chunk(chunk: Chunk, nprocs: int | None, *, strict: bool, quiet: bool) -> int:
    """Execute what is left of a chunk, showing progress, and return the exit code; raises StoreError."""
    batch = chunk.batch
    store = open_store(batch.remote_output_path, batch.storage_options, durable=batch.durable)
    records = store.scan(item.run.key for item in chunk.runs)
    todo = [item for item in chunk.runs if not chunk.done(item, records.get(item.run.key))]
    bar, progress = make_bar(Lasting(sys.stdout), quiet=quiet), Progress()
    progress.to_execute, progress.skipped = len(todo), len(chunk.runs) - len(todo)
    if not quiet:
        bar.line(f"{len(todo):,} of {len(chunk.runs):,} runs to execute")
    if not todo:
        return 0
    count, gpus = slots(nprocs or batch.nprocs)
    executor: Executor[ChunkRun] = Executor(store, Limits(count, None, gpus, batch.scratch), chunk.submission)
    try:
        for result in executor.run(_jobs(todo, records)):
            progress.running = executor.running
            if result.record is not None and result.record.code == 0:
                progress.done += 1
            else:
                progress.failed += 1
                bar.line(failure_line(result.job.tag.name, result))
            bar.update(progress)
    except StoreError as error:
        executor.error = str(error)
    bar.close(progress)
    return _exit_code(executor, progress, strict=strict)


def _jobs(todo: list[ChunkRun], records: dict[str, Record]) -> Iterator[Job[ChunkRun]]:
    for item in todo:
        yield Job(item.run, item.output, item.fingerprint, records.get(item.run.key), item)


def _exit_code(executor: Executor[ChunkRun], progress: Progress, *, strict: bool) -> int:
    if executor.stopped_by:
        name = signal.Signals(executor.stopped_by).name
        print(f"stopped by {name}: what was executing is incomplete", file=sys.stderr)
        return 128 + executor.stopped_by
    if executor.error:
        print(f"ERROR: {executor.error}", file=sys.stderr)
        return 2
    return int(strict and progress.failed > 0)
