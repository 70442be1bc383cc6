"""A run in the foreground, for `debug`: its command and environment for a process that keeps the terminal."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pydoit_sc.errors import UserError, reason
from pydoit_sc.ledger import Work
from pydoit_sc.shells import command_line
from pydoit_sc.worker.attempts import Attempt, Attempts
from pydoit_sc.worker.results import Limits
from pydoit_sc.worker.slots import check_needs


@dataclass(frozen=True, slots=True)
class Foreground:
    """A run that can be started."""

    words: tuple[str, ...]  # the first is the path of a program
    env: Mapping[str, str]
    folder: str  # its output, of which nothing is published
    results: str


def prepare(work: Work, limits: Limits, rank: int) -> Foreground:
    """Return a run as a worker with these limits would start it on a rank, with a scratch folder as its output.

    Raises UserError.
    """
    last = limits.nprocs - work.run.settings.slots
    check_needs(work.task, work.run.settings, limits.nprocs)
    if rank > last:
        raise UserError(f"--rank: expected 0 to {last}, as `nprocs` is {limits.nprocs}, found {rank}")
    try:
        if limits.scratch is not None:
            os.makedirs(limits.scratch, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="pydoit-sc-debug-", dir=limits.scratch)
        ranks = range(rank, rank + work.run.settings.slots)
        own = work._replace(output=folder)
        attempt = Attempt(own, "debug", ranks, folder, time.time(), time.monotonic(), ())
        os.mkdir(attempt.results)
        env = Attempts("debug", folder, limits).environment(attempt).whole()
    except OSError as error:
        raise UserError(f"debug: {reason(error)}") from error
    return Foreground(command_line(work.run.settings.shell, work.run.cmd), env, folder, attempt.results)
