"""A Make-style tool on doit that runs batches of independent shell commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydoit_sc.api import (
        BatchStatus,
        ChosenRuns,
        Counts,
        ExecutionError,
        FailureKind,
        FailureKinds,
        LoadedBatch,
        LoadedRun,
        Plan,
        PlannedRun,
        Standing,
        Status,
        SubmittedBatch,
        UserError,
        load,
    )

__all__ = [
    "BatchStatus",
    "ChosenRuns",
    "Counts",
    "ExecutionError",
    "FailureKind",
    "FailureKinds",
    "LoadedBatch",
    "LoadedRun",
    "Plan",
    "PlannedRun",
    "Standing",
    "Status",
    "SubmittedBatch",
    "UserError",
    "load",
]

if sys.argv[:1] == ["-m"] and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # `python -m pydoit_sc…`: Python looks for modules in this folder first, where a user may well have a `queue.py`.
    # From 3.11 on, `-P` does the same.
    del sys.path[0]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Give what a Python program uses of this package; commands and workers do not import it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - `pydoit_sc.api` stands above this module

    return getattr(import_module("pydoit_sc.api"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
