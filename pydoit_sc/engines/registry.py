"""The engine of a name, or of a batchfile, among those that are installed."""

from __future__ import annotations

from typing import cast

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.errors import did_you_mean, show
from pydoit_sc.engines.base import Engine, EngineError
from pydoit_sc.installed import engine_class, engine_names

#: Those that need no table in the batchfile.
_WITHOUT_TABLE = ("local", "slurm")


def load_engine(name: str) -> Engine:
    """Return the engine of this name; raises EngineError where there is none, or its package is broken."""
    if name not in engine_names():
        raise EngineError(f"no engine is named `{name}`{did_you_mean(name, engine_names())}")
    try:
        return cast(Engine, engine_class(name)())
    except Exception as error:  # whatever its package raises
        raise EngineError(f"engine `{name}` cannot be used: {error}") from error


def engine_for(batch: Batch, name: str) -> Engine:
    """Return the engine that a note names; raises EngineError where it is none of the batchfile's."""
    if name not in batch.tables and name not in _WITHOUT_TABLE:
        raise EngineError(
            f"{batch.path} has no table [{name}], so the engine {show(name)} is not asked about a submission to it"
        )
    return load_engine(name)


def engine_of(batch: Batch) -> Engine | None:
    """Return the engine that a batchfile has a table for, None if there is none; raises EngineError."""
    found = [name for name in engine_names() if name in batch.tables]
    if len(found) > 1:
        tables = " and ".join(f"[{name}]" for name in found)
        raise EngineError(f"{batch.path} has tables {tables}; `submit --engine` says which one")
    return load_engine(found[0]) if found else None


def chosen_engine(batch: Batch, name: str) -> Engine:
    """Return the engine of this name, or else the one that the batchfile has a table for; raises EngineError."""
    engine = load_engine(name) if name else engine_of(batch)
    if engine is not None:
        return engine
    tables = " or ".join(f"[{engine}]" for engine in engine_names())
    raise EngineError(
        f"submit: {batch.path} has no table {tables} that says where to; --engine local needs none"
    )
