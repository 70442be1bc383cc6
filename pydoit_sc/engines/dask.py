"""The engine `dask`: a chunk is a task of a Dask cluster, one that is there or one that a process of ours starts.

With `[dask] address = "tcp://…"` the tasks are handed over and Dask is left to it. With `[dask] cluster = …` a process
of its own (dask_cluster.py) starts that cluster, hands it the tasks, and ends it after the last one; how it is reached
is in a file of the submission (dask_access.py). Only these two are ever talked to. No data goes through Dask but exit
codes, and a task that Dask executes twice, since it has lost a worker, does no harm: what is completed is not executed
again.

A chunk waits for those that it comes after, or for a *gate*, an empty task that waits for all chunks of the groups
before. On a cluster that is there `scale` is kept by lanes: a chunk waits for the one `scale` places before it, so as
many are never under way.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import shlex
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydoit_sc.batch import Batch
from pydoit_sc.engines import dask_task
from pydoit_sc.engines.backlog import Backlog
from pydoit_sc.engines.base import EngineError, Handed, JobState, State, Submission, check_reached
from pydoit_sc.engines.dask_access import FILE as ACCESS
from pydoit_sc.engines.dask_access import PROCESS, Access, read_access
from pydoit_sc.engines.dask_jobs import OURS, at_others, keys_at, out_of_reach
from pydoit_sc.engines.dask_table import EITHER, DaskTable
from pydoit_sc.engines.detach import detach
from pydoit_sc.engines.stops import heed_stops

if TYPE_CHECKING:
    from distributed import Client, Future

FILE = "dask.json"  # what is to be submitted, and where to
LOG = "dask.log"

_PATIENCE = 30.0  # seconds until a scheduler that does nothing is given up
_SLICE = 200  # keys that are cancelled at once: Dask walks from a task to those that wait for it by recursion
_STATES = {
    "processing": State.RUNNING,
    "memory": State.ENDED,
    "released": State.ENDED,  # what waited for it has been executed, and is still known
    "erred": State.ENDED,
    "forgotten": State.ENDED,
}


@dataclass(frozen=True, slots=True)
class DaskTask:
    """A task for Dask; without a script it is a gate."""

    key: str
    script: str  # lines of shell
    after: Sequence[str] = ()  # keys


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """What is submitted, and where to: an address, or a cluster that is to be started."""

    tasks: Sequence[DaskTask]
    scale: int  # workers of a cluster that is to be started
    address: str = ""
    cluster: str = ""  # the dotted name of a class
    options: Mapping[str, Any] = field(default_factory=dict)  # the class's arguments
    #: What a Dask worker must have free for a chunk.
    resources: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str) -> TaskGraph:
        """Read the graph in a submission's folder."""
        with open(os.path.join(folder, FILE), encoding="utf-8") as file:
            data = json.load(file)
        return cls(**{**data, "tasks": [DaskTask(**task) for task in data["tasks"]]})


class Dask:
    """Chunks as tasks of a Dask cluster."""

    name = "dask"
    table = DaskTable
    ordered = True

    def nprocs(self, batch: Batch) -> int | None:
        """Return what the batch says, if it is a number."""
        return batch.nprocs if isinstance(batch.nprocs, int) else None

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Return the graph; raises EngineError where the table [dask] names no cluster."""
        return {FILE: json.dumps(asdict(make_graph(submission)), indent=1)}

    def submit(self, submission: Submission) -> Sequence[str]:
        """Hand the tasks to the cluster; with a cluster of ours, return when it has taken them."""
        graph = TaskGraph.read(submission.folder)
        if graph.address:
            with connected(graph.address) as client:
                hand_over(client, graph)
        else:
            _start(submission.folder)
        address = graph.address or OURS
        return [f"{address}#{task.key}" for task in graph.tasks if task.script]

    def poll(self, handed: Sequence[Handed]) -> Mapping[str, JobState]:
        """Ask the batchfile's scheduler once, and each cluster of ours that is alive on this machine."""
        states: dict[str, JobState] = {}
        for address in {_address(one): None for one in handed}:
            keys = [key for one in handed for key in keys_at(one, address)]
            if keys:
                with _asking(address) as client:
                    states |= _states(client, address, keys)
        for one in handed:
            states |= _states_of_ours(one) | at_others(one, _address(one))
        return states

    def cancel(self, handed: Handed) -> None:
        """Take tasks back; those that execute are told to end within seconds."""
        address, access = _address(handed), read_access(handed.folder)
        if keys := keys_at(handed, address):
            _take_back(address, keys)
        check_reached(at_others(handed, address) | out_of_reach(handed, access))
        keys = keys_at(handed, OURS)
        if keys and access is not None and access.is_alive(handed.folder):
            with suppress(EngineError):  # it is about to end
                _take_back(access.address, keys, access)

    def hints(self, handed: Handed) -> Mapping[str, str]:  # noqa: ARG002
        """Return nothing: what a worker writes is in the log of its Dask worker, and only Dask knows where that is."""
        return {}


def make_graph(submission: Submission) -> TaskGraph:
    """Return what is submitted; raises EngineError where the table [dask] names no cluster."""
    table = submission.batch.table("dask", DaskTable)
    if not (table.address or table.cluster):
        raise EngineError(f"{submission.batch.path}: [dask]: {EITHER}, found neither")
    lanes = (submission.scale or 0) if table.address else 0
    return TaskGraph(
        make_tasks(submission, lanes),
        submission.scale or 1,
        address=table.address or "",
        cluster=table.cluster or "",
        options=table.options,
        resources=table.resources,
    )


def make_tasks(submission: Submission, lanes: int) -> list[DaskTask]:
    """Return a submission's tasks in their order: at most `lanes` at once, 0 for no limit."""
    tasks: list[DaskTask] = []
    keys = [f"pydoit-sc-{submission.id}-{number}" for number in range(len(submission.texts))]
    gates: dict[int, str] = {}  # the gate behind all chunks below a number
    for number, key in enumerate(keys):
        behind = submission.behind(number)
        if behind and behind not in gates:
            gates[behind] = f"pydoit-sc-gate-{submission.id}-{behind}"
            tasks.append(DaskTask(gates[behind], "", keys[:behind]))
        lane = [keys[number - lanes]] if lanes and number >= lanes else []
        before = [gates[behind]] if behind else [keys[n] for n in submission.after[number] or ()]
        tasks.append(DaskTask(key, _script(submission, number), [*before, *lane]))
    return tasks


def _script(submission: Submission, number: int) -> str:
    """Return the lines of shell that execute a chunk; $0 is the Python of the Dask worker.

    Their log is beside the others' where the Dask worker sees that folder, else it is the Dask worker's own.
    """
    logs = shlex.quote(os.path.join(submission.folder, "logs"))
    return (
        f"if [ -w {logs} ]; then exec >> {logs}/{number}.log 2>&1; fi\n"
        f"pydoit_sc_python=$0\n{submission.start}"
        f'exec "$0" -m pydoit_sc {shlex.join(submission.words(number))}\n'
    )


@contextmanager
def connected(address: str, access: Access | None = None) -> Iterator[Client]:
    """Connect to a scheduler, to one of ours as `access` says; raises EngineError."""
    distributed = load_distributed()
    try:
        _knock(address)
        client = distributed.Client(
            address,
            timeout=_PATIENCE,
            set_as_default=False,
            name="pydoit-sc",
            security=access.security(distributed) if access else None,
        )
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # TimeoutError is an OSError
        why = str(error)
    else:
        with client:
            yield client
        return
    # What is left of the client closes itself when it is collected. While the next one is made, that would wait for ever.
    gc.collect()
    raise EngineError(f"no Dask scheduler answers at {address}: {why}")


@contextmanager
def _asking(address: str, access: Access | None = None) -> Iterator[Client]:
    """Connect as `connected` does; Dask writes nothing of a scheduler that ends meanwhile, which is raised."""
    load_distributed()  # which sets the levels that are set here
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with connected(address, access) as client:
        yield client


def _knock(address: str) -> None:
    """Raise ConnectionRefusedError where nothing listens: Dask itself would try again until its time-out."""
    url = urlsplit(address)
    if url.scheme in ("tcp", "tls") and url.hostname and url.port:
        with suppress(TimeoutError), socket.create_connection((url.hostname, url.port), timeout=_PATIENCE):
            return


def load_distributed() -> Any:
    """Return the package `distributed`, or raise the EngineError that says how to install it."""
    try:
        import distributed  # noqa: PLC0415 (optional, and slow to import)
    except ImportError as error:
        raise EngineError(
            f"the engine `dask` needs the package distributed ({error}): pip install 'pydoit-sc[dask]'"
        ) from error
    return distributed


def hand_over(client: Client, graph: TaskGraph) -> dict[str, Future]:
    """Submit a graph's tasks so that they outlive this client, and return their futures by key.

    Raises EngineError where the scheduler refuses them.
    """
    futures: dict[str, Future] = {}
    for task in graph.tasks:
        before = [futures[key] for key in task.after]
        if task.script:
            how = {"key": task.key, "resources": graph.resources or None}
            futures[task.key] = client.submit(dask_task.execute, task.script, task.key, before, **how)
        else:
            futures[task.key] = client.submit(dask_task.gate, before, key=task.key)
    _await_known(client, futures)
    load_distributed().fire_and_forget([future for future in futures.values() if not future.done()])
    return futures


def _await_known(client: Client, futures: Mapping[str, Future]) -> None:
    """Wait until the scheduler has all tasks: what it does not know yet, it would not keep for us."""
    backlog = Backlog(_PATIENCE)
    while unknown := [*statuses(client, list(futures)).values()].count(None):
        failed = next((future for future in futures.values() if future.status == "error"), None)
        if failed is not None:
            said = " ".join(str(failed.exception()).split())
            raise EngineError(
                f"the Dask scheduler refuses the tasks; pydoit-sc must be installed where it runs: {said}"
            )
        if backlog.is_stuck(unknown):
            raise EngineError(
                f"the Dask scheduler has not taken {unknown:,} of {len(futures):,} tasks in time"
            )
        time.sleep(0.05)


def statuses(client: Client, keys: Sequence[str]) -> Mapping[str, str | None]:
    """Return Dask's words for the states of tasks, None for those it does not know, by one call; raises EngineError."""
    try:
        answer: Mapping[str, str | None] = client.sync(client.scheduler.get_task_status, keys=list(keys))
    except OSError as error:
        raise EngineError(f"the Dask scheduler does not answer any more: {error}") from error
    return answer


def _take_back(address: str, keys: Sequence[str], access: Access | None = None) -> None:
    """Cancel tasks and wait until the scheduler has done so.

    It does not answer, and it hangs up, the rest undone, when it comes to a task that has ended meanwhile; so each
    time is a client of its own.
    """
    backlog = Backlog(_PATIENCE)
    while True:
        with _asking(address, access) as client:
            left = [key for key, word in statuses(client, keys).items() if _is_under_way(word)]
            if not left:
                return
            for stop in range(len(left), 0, -_SLICE):
                part = left[max(0, stop - _SLICE) : stop]
                client.cancel([load_distributed().Future(key, client) for key in part], force=True)
        if backlog.is_stuck(len(left)):
            raise EngineError(
                f"the Dask scheduler has not cancelled {len(left):,} of {len(keys):,} tasks in time"
            )


def _is_under_way(word: str | None) -> bool:
    return word is not None and _STATES.get(word) is not State.ENDED


def _address(handed: Handed) -> str:
    """Return the address of the cluster that the batchfile names, "" if it names none."""
    return handed.batch.table("dask", DaskTable).address or ""


def _states(client: Client, address: str, keys: Sequence[str]) -> dict[str, JobState]:
    states = {}
    for key, word in statuses(client, keys).items():
        state = State.ENDED if word is None else _STATES.get(word, State.QUEUED)
        states[f"{address}#{key}"] = JobState(state, word or "")
    return states


def _states_of_ours(handed: Handed) -> dict[str, JobState]:
    """Return the states of the tasks of a cluster of ours; they have ended with its process."""
    keys, access = keys_at(handed, OURS), read_access(handed.folder)
    if not keys or access is None or not access.is_here or not access.is_alive(handed.folder):
        return out_of_reach(handed, access)
    try:
        with _asking(access.address, access) as client:
            return _states(client, OURS, keys)
    except EngineError as error:
        if read_access(handed.folder) is None:  # it is about to end
            return {}
        return {f"{OURS}#{key}": JobState(State.UNKNOWN, str(error)) for key in keys}


def _start(folder: str) -> None:
    """Start the process that has the cluster, and wait until that has all tasks; raises EngineError."""
    load_distributed()
    log, ready = os.path.join(folder, LOG), os.path.join(folder, ACCESS)
    pid = detach(PROCESS, folder, LOG)
    ended, status = 0, 0
    try:
        while not ended and not os.path.exists(ready):
            heed_stops()
            ended, status = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.05)
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        raise
    if status:
        with open(log, encoding="utf-8", errors="replace") as file:
            said = file.read().strip().rpartition("\n")[2]
        raise EngineError(f"the Dask cluster was not started: {said} (all of it: {log})")
