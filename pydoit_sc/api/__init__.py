"""Batches from Python: what `import pydoit_sc` gives."""

from pydoit_sc.api.batch import ChosenRuns, LoadedBatch, load
from pydoit_sc.api.execution import ExecutionError
from pydoit_sc.api.run import LoadedRun
from pydoit_sc.api.submission import SubmittedBatch
from pydoit_sc.api.values import BatchStatus, FailureKind, FailureKinds, Plan, PlannedRun
from pydoit_sc.batch import Status
from pydoit_sc.errors import UserError
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.standing import Standing

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
