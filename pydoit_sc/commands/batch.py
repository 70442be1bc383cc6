"""`batch`: the worker, which executes a chunk."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.chunks.read import read_chunk_at
from pydoit_sc.commands.base import OPT_QUIET, Command
from pydoit_sc.commands.parsing import parse_nprocs, parse_table
from pydoit_sc.plan import Work, failure_budget
from pydoit_sc.show.progress import Lasting, Progress, failure_line, make_bar
from pydoit_sc.store import HeldError, Store, StoreError, open_store
from pydoit_sc.worker import allotment, earlier
from pydoit_sc.worker.executor import Executor, Job, Limits, Result

LOOK_AGAIN = 2.0  # seconds between two looks at a chunk that another worker has


class BatchCommand(Command):
    """Execute a chunk."""

    name = "batch"
    doc_purpose = COMMANDS["batch"].purpose
    doc_usage = "CHUNK"
    doc_description = (
        "Takes a chunk of `split`, ours or of the published `sc`, or a run list, by its path or URL. What the chunk's "
        "submission has completed already is not executed again.\n"
        "\n"
        "Exit code: 0 when every run has been published, whatever its code (--strict: 1 if one failed), "
        "2 if something could not be executed, 3 bad input, 75 if the machine's time was too short for the rest, "
        "1 if `max_failures` have failed and runs are left, 128+n stopped by signal n."
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
        {
            "name": "storage_options",
            "long": "storage-options",
            "type": str,
            "default": "",
            "help": "fsspec's, as JSON, to read a chunk at a URL",
        },
        OPT_QUIET,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Execute the chunk and return the exit code."""
        nprocs = parse_nprocs(options["nprocs"])
        storage_options = parse_table(options["storage_options"], "--storage-options")
        chunk = read_chunk_at(self.one(words, "a chunk"), storage_options)
        return execute_chunk(chunk, nprocs, strict=options["strict"], quiet=options["quiet"])


def execute_chunk(chunk: Chunk, nprocs: int | None, *, strict: bool, quiet: bool) -> int:
    """Execute what is left of a chunk, showing progress, and return the exit code; raises StoreError.

    Where another worker is at it, and the store cannot have two, that one's end is waited for.
    """
    said = ""
    while True:
        try:
            return _execute(chunk, nprocs, strict=strict, quiet=quiet)
        except HeldError as error:
            if str(error) != said:
                said = str(error)
                print(f"{said}; waiting for its end", file=sys.stderr, flush=True)
            time.sleep(LOOK_AGAIN)


def _execute(chunk: Chunk, nprocs: int | None, *, strict: bool, quiet: bool) -> int:
    store = open_store(chunk.remote_output_path, chunk.storage_options, durable=chunk.durable)
    if chunk.after:
        runs, known = earlier.read_earlier(store, chunk)
        if left := earlier.incomplete(chunk, runs, known):
            which = ", ".join(f"{count:,} of `{stage}`" for stage, count in left.items())
            print(
                f"ERROR: nothing is executed: runs that must come first are not completed: {which}",
                file=sys.stderr,
            )
            return 2
        chunk = earlier.with_attempts(chunk, known)
    records = store.scan(work.run.key for work in chunk.works)
    todo = [work for work in chunk.works if not chunk.completed(work.fingerprint, records.get(work.run.key))]
    bar, progress = make_bar(Lasting(sys.stdout), quiet=quiet), Progress()
    progress.to_execute, progress.skipped = len(todo), len(chunk.works) - len(todo)
    if not quiet:
        bar.line(f"{len(todo):,} of {len(chunk.works):,} runs to execute")
    if not todo:
        return 0
    count, gpus = allotment.slots(nprocs or chunk.nprocs)
    limits = Limits(
        count,
        failure_budget(chunk.max_failures, len(chunk.works)),
        gpus,
        chunk.scratch,
        allotment.end_of_time(),
    )
    executor: Executor[Work] = Executor(store, limits, chunk.submission, chunk.id)
    gained = 0
    try:
        for result in executor.run(_jobs(store, chunk, todo, progress)):
            gained += _is_gain(chunk, result)
            progress.running = executor.running
            if result.record is None:
                continue  # neither done nor failed: the worker's error, told at the end
            if result.record.code == 0:
                progress.done += 1
            else:
                progress.failed += 1
                bar.line(failure_line(result.job.tag.task, result.record.code, result.stderr_tail))
            bar.update(progress)
    except HeldError:
        raise
    except StoreError as error:
        executor.error = str(error)
    bar.close(progress)
    if executor.out_of_time or executor.stopped_by == signal.SIGTERM:
        _start_again(gained)
    return _exit_code(executor, progress, strict=strict)


def _is_gain(chunk: Chunk, result: Result[Work]) -> bool:
    """Say whether a run has an outcome that it cannot get a second time: completed, or its submission's first."""
    if result.record is None:
        return False
    known = result.job.known
    return result.record.code == 0 or known is None or known.submission != chunk.submission


def _start_again(gained: int) -> None:
    """Have a scheduler that can do so start this worker again; not if it would never come to an end."""
    if not allotment.can_start_again():
        return
    if not gained:
        print("no run has ended within this job's time, so it is not queued again", file=sys.stderr)
        return
    print("this job is to be queued again, for what is left", file=sys.stderr, flush=True)
    if not allotment.start_again():
        print("Slurm has refused to queue it again: what is left needs another submission", file=sys.stderr)


def _jobs(store: Store, chunk: Chunk, todo: list[Work], progress: Progress) -> Iterator[Job[Work]]:
    """Yield the jobs of a chunk, less those that a worker that was at it before has completed meanwhile."""
    records = store.scan(work.run.key for work in todo)
    for work in todo:
        record = records.get(work.run.key)
        if chunk.completed(work.fingerprint, record):
            progress.to_execute -= 1
            progress.skipped += 1
        else:
            yield Job(work.run, work.output, work.fingerprint, record, work)


def _exit_code(executor: Executor[Work], progress: Progress, *, strict: bool) -> int:
    if executor.stopped_by:
        name = signal.Signals(executor.stopped_by).name
        print(f"stopped by {name}: what was executing is incomplete", file=sys.stderr)
        return 128 + executor.stopped_by
    if executor.error:
        print(f"ERROR: {executor.error}", file=sys.stderr)
        return 2
    count = progress.to_execute - progress.finished
    left = f"{count:,} run{'s are' if count > 1 else ' is'} left"
    if executor.out_of_time:
        print(f"{left}: the time of this machine is nearly over", file=sys.stderr)
        return allotment.OUT_OF_TIME
    if executor.failed_too_often and count:
        failures = f"{executor.failures:,} failure{'s' * (executor.failures > 1)}"
        print(f"{left}: stopped after {failures} (`max_failures`)", file=sys.stderr)
        return 1
    return int(strict and progress.failed > 0)
