"""The engine `local`: chunks as worker processes on this machine, started by a process that outlives `submit`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.engines.base import EngineError, JobState, State, Submission
from pydoit_sc.engines.detach import detach
from pydoit_sc.engines.supervisor import LOG, ORDERS, Orders
from pydoit_sc.proc import started_at
from pydoit_sc.worker.slots import slots

_TO_END = 2.0  # seconds to see a process that was told to end do so


class LocalTable(Table):
    """`[local]`: it has no keys; `scale` in [batch] is how many workers there are."""


class Local:
    """Worker processes on this machine, `scale` at once."""

    name = "local"
    table = LocalTable
    ordered = True

    def nprocs(self, batch: Batch) -> int | None:
        """Return how many runs a worker executes at once; raises NoGpuError."""
        return slots(batch.nprocs)[0]

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Return the orders for the supervisor."""
        groups = [
            [_script(submission, group.first + number) for number in range(group.count)]
            for group in submission.groups
        ]
        logs = os.path.join(submission.folder, "logs")
        return {ORDERS: json.dumps(asdict(Orders(groups, submission.scale or 1, logs)), indent=1)}

    def submit(self, submission: Submission) -> Sequence[str]:
        """Start the supervisor, in a session of its own."""
        pid = detach("pydoit_sc.engines.supervisor", submission.folder, LOG)
        return [f"{socket.gethostname()}/{pid}/{started_at(pid)}"]

    def poll(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Return the state of each supervisor; those of another machine count as ended."""
        return {job: _state(job) for job in jobs}

    def cancel(self, jobs: Sequence[str]) -> None:
        """Tell supervisors to end: they stop their workers first, which takes as long as the runs' grace."""
        for job in jobs:
            host, pid, _ = _parts(job)
            if host != socket.gethostname():
                raise EngineError(f"the workers are processes of {host}: cancel them there")
            if _state(job).state is not State.ENDED:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + _TO_END
        while time.monotonic() < until and any(_state(job).state is not State.ENDED for job in jobs):
            time.sleep(0.02)

    def hints(self, submission: str, jobs: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """Return nothing: there is no program that knows more."""
        return {}


def _script(submission: Submission, number: int) -> str:
    worker = shlex.join([sys.executable, "-m", "pydoit_sc", *submission.words(number)])
    return f"pydoit_sc_python={shlex.quote(sys.executable)}\n{submission.start}exec {worker}\n"


def _parts(job: str) -> tuple[str, int, str]:
    host, pid, started = job.rsplit("/", 2)
    return host, int(pid), started


def _state(job: str) -> JobState:
    host, pid, started = _parts(job)
    if host != socket.gethostname():
        return JobState(State.ENDED, f"on {host}, or ended: only that machine knows")
    return JobState(State.RUNNING) if started_at(pid) == started else JobState(State.ENDED)
