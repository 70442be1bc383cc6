"""The process that has a Dask cluster of ours: start it, hand over a graph's tasks, wait for their end, end it.

python -m pydoit_sc.engines.dask_cluster FOLDER
"""

from __future__ import annotations

import importlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydoit_sc.engines import dask_task
from pydoit_sc.engines.base import EngineError
from pydoit_sc.engines.dask import TaskGraph, connected, hand_over, load_distributed
from pydoit_sc.engines.dask_access import access_of, remove_access, write_access

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.deploy.cluster import Cluster

_PAUSE = 0.2  # seconds between two looks
_LOST = 10.0  # seconds between two looks at lost workers: a queue's jobs have an end of their time
_SSH = "distributed.SSHCluster"

#: A worker of Dask takes as many chunks at once as it has threads, and a chunk has processes of its own.
_ONE_THREAD = ("--nthreads", "1")


def main() -> int:
    """Return the exit code: 0 when all tasks have ended, or were cancelled."""
    folder = sys.argv[1]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    graph = TaskGraph.read(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="pydoit-sc-") as private, start(graph, private) as cluster:
            access = access_of(cluster)
            with connected(access.address, access) as client:
                futures = hand_over(client, graph)
                write_access(folder, access)
                try:
                    await_end(cluster, client, futures.values(), graph)
                finally:  # before the cluster ends, which takes a while: what does not answer then has ended
                    remove_access(folder)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def start(graph: TaskGraph, private: str) -> Cluster:
    """Start the cluster that a graph asks for, with `scale` workers; raises EngineError.

    `private` is a folder for the workers on this machine: they import from their own, which Dask would make in a
    folder of /tmp that may be another user's.
    """
    load_distributed()
    import dask  # noqa: PLC0415 (optional)

    kind = cluster_class(graph.cluster)
    dask.config.set(
        {
            "distributed.scheduler.worker-saturation": 1.0,  # a chunk waits where any worker can take it
            "temporary-directory": dask.config.get("temporary-directory", None) or private,
        }
    )
    try:
        cluster = kind(**arguments(graph))
        scale(cluster, graph)
    except Exception as error:  # whatever the class raises for its arguments and its surroundings
        raise EngineError(f"{graph.cluster} was not started: {type(error).__name__}: {error}") from error
    return cluster


def scale(cluster: Cluster, graph: TaskGraph) -> None:
    """Have a cluster start the workers that it has too few, also those that were lost."""
    if graph.cluster != _SSH:  # which has one on each of its hosts
        cluster.scale(graph.scale)


def cluster_class(name: str) -> type[Cluster]:
    """Return the class of this dotted name if it is one of clusters; raises EngineError."""
    from distributed.deploy.cluster import Cluster  # noqa: PLC0415 (optional, and slow to import)

    if name == _SSH:  # a function that makes a cluster
        return load_distributed().SSHCluster  # type: ignore[no-any-return]
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        hint = f": pip install {package}" if error.name == module.partition(".")[0] else ""
        raise EngineError(f"[dask] cluster: {name} cannot be imported: {error}{hint}") from error
    if not (isinstance(found, type) and issubclass(found, Cluster)):
        raise EngineError(f"[dask] cluster: {name} is not a class of Dask clusters")
    return found


def arguments(graph: TaskGraph) -> Mapping[str, Any]:
    """Return the arguments of a cluster's class: the user's, and one thread for each worker where we know how."""
    options = dict(graph.options)
    if graph.cluster == "distributed.LocalCluster":
        ours = {
            "n_workers": graph.scale,
            "threads_per_worker": 1,
            "processes": True,
            "security": True,  # else every user of the machine may have the cluster execute what he sends
            "dashboard_address": None,
            # Without a dashboard, too, Dask serves a page: on a free port, since two clusters may be on one machine.
            "scheduler_kwargs": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        }
        return {**ours, **options}
    if graph.cluster == _SSH:
        return {**options, "worker_options": {"nthreads": 1, **options.get("worker_options", {})}}
    if graph.cluster.startswith("dask_jobqueue."):
        return {**options, "worker_extra_args": [*_ONE_THREAD, *options.get("worker_extra_args", ())]}
    return options


def await_end(cluster: Cluster, client: Client, futures: Iterable[Future], graph: TaskGraph) -> None:
    """Wait until all tasks have ended, those that were cancelled in their own time: runs have a grace."""
    waiting, looked = list(futures), time.monotonic()
    while waiting := [future for future in waiting if not future.done()]:
        time.sleep(_PAUSE)
        if time.monotonic() - looked > _LOST:
            scale(cluster, graph)
            looked = time.monotonic()
    while any(client.run(dask_task.busy).values()):
        time.sleep(_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
