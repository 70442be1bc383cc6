"""The executor of `run`: made when the first run is to be executed, so that a batch with nothing to do needs no worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doit.runner import ERROR

from pydoit_sc.ledger import Work
from pydoit_sc.outcomes.failures import OPTION
from pydoit_sc.store import Store
from pydoit_sc.tasks.reporter import BatchReporter
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits


def make_executor(store: Store, limits: Limits, reporter: Any, *, has_completed: bool) -> Executor:
    """Return the executor, shown by the reporter; `has_completed`: there are runs that were completed before."""
    executor = Executor(store, limits)
    if has_completed:
        executor.failures.has_completed()
    if isinstance(reporter, BatchReporter):
        executor.tell, executor.show = reporter.tell, reporter.show
        reporter.reckoning.progress.running = lambda: executor.running
    return executor


@contextmanager
def in_folder(folder: Path, works: Iterator[Work | None]) -> Iterator[Iterator[Work | None]]:
    """Give works to an executor whose runs start in this folder; what yields them, as a dodo.py, stays where we are."""
    own, end = os.getcwd(), object()
    if own == str(folder):
        yield works
        return

    def given() -> Iterator[Any]:
        while True:
            os.chdir(own)
            try:
                work: object = next(works, end)
            finally:
                os.chdir(folder)
            if work is end:
                return
            yield work

    os.chdir(folder)
    try:
        yield given()
    finally:
        os.chdir(own)


def why_it_ended(executor: Executor, to_execute: int, bound: str) -> tuple[str, int | None]:
    """Return why the execution has ended early, and its exit code where that is no other's business; "" where it has not.

    `bound` is what has set the number of failures that is allowed.
    """
    if executor.stopped_by:
        name = signal.Signals(executor.stopped_by).name
        return f"stopped by {name}: what was executing is incomplete", 128 + executor.stopped_by
    if executor.error:
        return executor.error, ERROR
    if executor.failures.too_many and executor.failures.count != to_execute:
        return executor.failures.why(bound, OPTION), None
    return "", None
