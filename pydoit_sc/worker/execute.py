"""Execute a chunk: the worker, from what the store has of the chunk's runs to its exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping

from pydoit_sc.batch import failure_budget
from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.ledger import Work
from pydoit_sc.show.bars import Bar, make_bar
from pydoit_sc.show.progress import Progress, failure_line, verdict_lines
from pydoit_sc.store import Record, StoreError, name_worker, open_store
from pydoit_sc.worker import allocation
from pydoit_sc.worker.disks import scratch_disk
from pydoit_sc.worker.earlier import after_earlier
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits
from pydoit_sc.worker.slots import check_needs, slots


def execute_chunk(
    chunk: Chunk, nprocs: int | None = None, *, strict: bool = False, quiet: bool = False
) -> int:
    """Execute what is left of a chunk, show progress, and return the exit code of `batch`.

    Raises StoreError, and UserError where its runs need a shell that is not there, or more slots than there are.

    `nprocs` replaces the chunk's, and lowers its "gpus". With `strict` the code is 1 if a run failed.
    """
    batch = chunk.batch
    store = open_store(
        batch.remote_output_path,
        batch.storage_options,
        durable=batch.durable,
        patience=batch.patience,
    )
    chunk, held, records = after_earlier(store, chunk)
    for line in verdict_lines(held):
        print(line, file=sys.stderr, flush=True)
    (todo, failed), limits = _left(chunk, records), _limits(chunk, nprocs, store.url)
    for work in {id(work.run.settings): work for work in todo}.values():
        check_needs(work.task, work.run.settings, limits.nprocs)
    bar, progress = make_bar(sys.stdout, quiet=quiet), Progress()
    progress.begin(len(todo), len(chunk.works) - len(todo))
    if not quiet:
        bar.line(f"{len(todo):,} of {len(chunk.works):,} runs to execute")
    if not todo:
        return 2 if held else 0
    executor = Executor(
        store,
        limits,
        chunk.submission,
        name_worker(chunk.submission, chunk.id),
    )
    if len(todo) + failed < len(chunk.works):
        executor.failures.has_completed()
    executor.failures.count = failed
    if executor.failures.too_many:
        executor.stop()
    executor.tell = lambda text: None if quiet else bar.line(text)
    executor.show = lambda _: bar.update(progress)
    progress.running = lambda: executor.running
    unpublished = _watch(executor, iter(todo), bar, progress)
    if executor.out_of_time or executor.stopped_by == signal.SIGTERM:
        _start_again(progress.finished)
    code = _exit_code(executor, progress, strict=strict)
    return code or (2 if held or unpublished else 0)


def _left(chunk: Chunk, records: Mapping[str, Record]) -> tuple[list[Work], int]:
    """Return those of a chunk's runs that are to be executed, with what the store has of them, and how many have failed for good.

    Those have had their attempts in this submission, before Slurm started the worker's job again.
    """
    known = (work._replace(known=records.get(work.run.key)) for work in chunk.works)
    left = [work for work in known if not chunk.completed(work.fingerprint, work.known)]
    if not allocation.is_ours():
        return left, 0
    todo = [work for work in left if not _has_failed(work, chunk.submission)]
    return todo, len(left) - len(todo)


def _has_failed(work: Work, submission: str) -> bool:
    return work.known is not None and bool(work.known.code) and work.known.submission == submission


def _limits(chunk: Chunk, nprocs: int | None, url: str) -> Limits:
    """Return what bounds this worker: what the chunk says, and what a scheduler has given it; raises NoGpuError."""
    batch = chunk.batch
    count, gpus = slots(batch.nprocs, wanted=nprocs or batch.at_most)
    budget = failure_budget(batch.max_failures, len(chunk.works))
    named = chunk.works[0].run.local_results_dir if chunk.works else None
    scratch = batch.scratch or (named and scratch_disk(named, url))
    return Limits(count, budget, gpus, scratch, batch.min_free_memory, allocation.end_of_time())


def _watch(executor: Executor, works: Iterator[Work], bar: Bar, progress: Progress) -> int:
    """Execute and show progress; return how many runs have got no outcome, since something else has their place."""
    unpublished = 0
    try:
        for result in executor.run(works):
            if result.record is None:
                if not executor.error:  # else that is shown at the end
                    unpublished += 1
                    bar.line(failure_line(result.work.task, result.error))
            elif result.record.code == 0:
                progress.done += 1
            else:
                progress.failed += 1
                work, why = result.work, result.record.failure
                bar.line(failure_line(work.task, why, result.stderr_tail, work.run.cmd))
            progress.tell_left_behind(bar.line, result.work.task, result.left_behind)
    except StoreError as error:
        executor.error = str(error)
    bar.close(progress)
    return unpublished


def _start_again(ended: int) -> None:
    """Let a scheduler that can do so start this worker again; not if no run has ended, or it might do so for ever."""
    if not allocation.can_start_again():
        return
    if not ended:
        print("no run has ended within this job's time, so it is not queued again", file=sys.stderr)
        return
    print("this job is to be queued again, for the runs that are left", file=sys.stderr, flush=True)
    if not allocation.start_again():
        print(
            "Slurm refuses to queue it again: the runs that are left need another submission", file=sys.stderr
        )


def _exit_code(executor: Executor, progress: Progress, *, strict: bool) -> int:
    """Return the worker's exit code, and print why it ended early if it did."""
    if executor.stopped_by:
        name = signal.Signals(executor.stopped_by).name
        print(f"stopped by {name}: what was executing is incomplete", file=sys.stderr)
        return 128 + executor.stopped_by
    if executor.error:
        print(f"ERROR: {executor.error}", file=sys.stderr)
        return 2
    number = progress.to_execute - progress.finished
    left = f"{number:,} run{'s are' if number > 1 else ' is'} left"
    if executor.out_of_time:
        print(f"{left}: the time of this machine is nearly over", file=sys.stderr)
        return allocation.OUT_OF_TIME
    if executor.failures.too_many and number:
        print(f"{left}: {executor.failures.why()}", file=sys.stderr)
        return 1
    return int(strict and progress.failed > 0)
