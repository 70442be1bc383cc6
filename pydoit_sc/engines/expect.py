"""What runs to execute will take on an engine's machines, or on this one."""

from __future__ import annotations

from pydoit_sc.batch import Batch
from pydoit_sc.engines.base import Engine, EngineError, Limited
from pydoit_sc.engines.registry import engine_of
from pydoit_sc.forecast import Estimate, Outlook
from pydoit_sc.plurals import counted
from pydoit_sc.worker.slots import NoGpuError, slots


def engine_meant(batch: Batch) -> Engine | None:
    """Return the engine that a batchfile has a table for, None if it has none, or several."""
    try:
        return engine_of(batch)
    except EngineError:
        return None


def limit_of(engine: Engine | None, batch: Batch) -> float | None:
    """Return for how many seconds a job of an engine executes runs, None if there is no limit."""
    return engine.limit(batch) if isinstance(engine, Limited) else None


def ranks_of(engine: Engine, batch: Batch) -> int | None:
    """Return how many runs execute at once on a machine, None where that is not known; raises what `Engine.nprocs` does."""
    known = (engine.nprocs(batch), batch.at_most)
    return min((count for count in known if count), default=None)


def expect(estimate: Estimate, batch: Batch, engine: Engine | None) -> Outlook:
    """Return what runs of which something is known will take, without an engine by `run` on this machine."""
    unit = "GPU-hours" if batch.nprocs == "gpus" else "core-hours"
    if engine is None or engine.name == "local":
        try:
            at_once = slots(batch.nprocs, wanted=batch.at_most)[0] * ((engine and batch.scale) or 1)
        except NoGpuError:
            return estimate.expected(None, "", unit)
        return estimate.expected(at_once, f"with {at_once:,} at once", unit)
    machines, ranks = batch.scale, ranks_of(engine, batch)
    how = f"on {counted(machines, 'machine')}" if machines else ""
    return estimate.expected(machines * ranks if machines and ranks else None, how, unit)
