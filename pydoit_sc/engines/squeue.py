"""What `squeue` says of job arrays, as the states of jobs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydoit_sc.engines.base import JobState, State

_QUEUED = frozenset({"PENDING", "REQUEUED", "SUSPENDED", "RESV_DEL_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
#: Why a job that is pending will not start by itself, in the words of `squeue -o %r`.
_HELD = re.compile(
    r"JobHeld|[Hh]eld|BadConstraints|DependencyNeverSatisfied|InvalidAccount|InvalidQOS|PartitionTimeLimit"
    r"|PartitionNodeLimit|PartitionDown|PartitionInactive|SPECIAL_EXIT"
)


#: What squeue is asked for. A reason may have a `|`, and no path of ours has a tab.
COLUMNS = "%i|%T|%r\t%o"


def read_squeue(text: str, jobs: Sequence[str]) -> dict[str, JobState]:
    """Return the states of arrays from lines of squeue; what is not in them has ended."""
    tasks: dict[str, list[tuple[str, str]]] = {}
    for line in _lines(text):
        task, state, reason = line.partition("\t")[0].split("|", 2)
        tasks.setdefault(task.partition("_")[0], []).append((state, reason))
    return {job: _state(tasks.get(job, [])) for job in jobs}


def read_commands(text: str) -> dict[str, str]:
    """Return the script of each array, with its arguments, from lines of squeue."""
    pairs = (line.partition("\t") for line in _lines(text))
    return {told.partition("|")[0].partition("_")[0]: command for told, _, command in pairs}


def _lines(text: str) -> list[str]:
    """Return the lines that begin a job: a script of others may have a newline in its name."""
    return [line for line in text.splitlines() if line.partition("\t")[0].count("|") >= 2]


def _state(tasks: Sequence[tuple[str, str]]) -> JobState:
    reasons = {reason for state, reason in tasks if state in _QUEUED}
    held = {reason for reason in reasons if _HELD.search(reason)}
    why, some = ", ".join(sorted(held)), " (some of its tasks)" if held else ""
    if any(state not in _QUEUED for state, _ in tasks):
        return JobState(State.RUNNING, held=why + some)
    if reasons - held:
        return JobState(State.QUEUED, ", ".join(sorted(reasons - held)), held=why + some)
    return JobState(State.HELD, held=why) if held else JobState(State.ENDED)
