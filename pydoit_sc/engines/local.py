"""The engine `local`: chunks as worker processes on this machine, started by a process that outlives `submit`."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.engines.base import Handed, JobState, State, Submission, check_reached
from pydoit_sc.engines.detach import detach, executes
from pydoit_sc.engines.supervisor import ENDED, LOG, ORDERS, Orders
from pydoit_sc.proc import started_at
from pydoit_sc.worker.slots import slots

_SUPERVISOR = "pydoit_sc.engines.supervisor"
_JOB = re.compile(r"([^/]+)/([0-9]{1,10})/([0-9]+-[0-9a-f]{8})")
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
        logs = os.path.join(submission.folder, "logs")
        numbers = range(len(submission.texts))
        orders = Orders(
            [_script(submission, number) for number in numbers],
            [submission.behind(number) for number in numbers],
            [submission.after[number] or () for number in numbers],
            submission.scale or 1,
            logs,
            submission.end,
        )
        return {ORDERS: json.dumps(asdict(orders), indent=1)}

    def submit(self, submission: Submission) -> Sequence[str]:
        """Start the supervisor, in a session of its own."""
        pid = detach(_SUPERVISOR, submission.folder, LOG)
        return [f"{socket.gethostname()}/{pid}/{started_at(pid)}"]

    def poll(self, handed: Sequence[Handed]) -> Mapping[str, JobState]:
        """Return the state of each supervisor; one of another machine has ended when it has said so."""
        return {process.job: process.state for one in handed for process in _processes(one)}

    def cancel(self, handed: Handed) -> None:
        """Tell supervisors to end: they stop their workers first, which takes as long as the runs' grace."""
        processes = _processes(handed)
        for process in processes:
            if process.state.state is State.RUNNING:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        until = time.monotonic() + _TO_END
        while time.monotonic() < until and any(one.state.state is State.RUNNING for one in processes):
            time.sleep(0.02)
        check_reached({one.job: one.state for one in processes})

    def hints(self, handed: Handed) -> Mapping[str, str]:
        """Return how what the workers write is shown."""
        return {"what the workers write": f"tail -n +1 {shlex.quote(handed.folder)}/logs/*.log"}


def _script(submission: Submission, number: int) -> str:
    worker = shlex.join([sys.executable, "-m", "pydoit_sc", *submission.words(number)])
    return f"pydoit_sc_python={shlex.quote(sys.executable)}\n{submission.start}exec {worker}\n"


@dataclass(frozen=True, slots=True)
class _Process:
    """The supervisor that a job of a submission is, as its note says."""

    job: str
    host: str
    pid: int
    started: str
    folder: str

    @property
    def state(self) -> JobState:
        if self.host != socket.gethostname():
            if os.path.exists(os.path.join(self.folder, ENDED)):
                return JobState(State.ENDED)
            return JobState(
                State.UNKNOWN, f"its workers are processes of {self.host}, and only that machine knows"
            )
        alive = started_at(self.pid) == self.started and executes(self.pid, _SUPERVISOR, self.folder)
        return JobState(State.RUNNING if alive else State.ENDED)


def _processes(handed: Handed) -> list[_Process]:
    found = ((job, _JOB.fullmatch(job)) for job in handed.jobs)
    return [_Process(job, m[1], int(m[2]), m[3], handed.folder) for job, m in found if m]
