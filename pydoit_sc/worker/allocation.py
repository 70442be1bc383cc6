"""The Slurm job that this worker is in: when it ends, and queueing it again. Elsewhere nothing is known of an end."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping

from pydoit_sc.programs import ProgramError, call

#: Set by our job script: a worker that leaves runs for lack of time has its job queued again.
REQUEUE_VARIABLE = "PYDOIT_SC_REQUEUE"

#: The exit code of a worker that has left runs for lack of time (EX_TEMPFAIL).
OUT_OF_TIME = 75

_ANSWER = 10.0  # seconds for Slurm's daemon to answer
_LEFT = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", re.ASCII)


def seconds_left(text: str) -> int | None:
    """Return what `squeue -o %L` prints in seconds; None for UNLIMITED and the like.

    >>> seconds_left("1-02:03:04")
    93784
    """
    match = _LEFT.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def end_of_time(env: Mapping[str, str] = os.environ) -> float | None:
    """Return when Slurm ends this worker's job, in seconds since the epoch; None if that is unknown."""
    stamp = env.get("SLURM_JOB_END_TIME", "")  # newer versions of Slurm
    if stamp.isdecimal():
        return float(stamp)
    left = seconds_left(_squeue(env, "%L"))
    return None if left is None else time.time() + left


def is_ours(env: Mapping[str, str] = os.environ) -> bool:
    """Return whether this worker is in a job of ours, which Slurm may have started before: nothing tells that for sure."""
    return env.get(REQUEUE_VARIABLE) == "1"


def can_start_again(env: Mapping[str, str] = os.environ) -> bool:
    """Return whether this worker is in a job of ours that Slurm can queue again, and would not by itself.

    Slurm still calls such a job running: one that it is ending was cancelled, or Slurm queues it again by itself.
    """
    return is_ours(env) and _squeue(env, "%T") == "RUNNING"


def start_again(env: Mapping[str, str] = os.environ) -> bool:
    """Let Slurm queue this worker's job again, which ends this process soon; return whether Slurm accepts."""
    try:
        call("scontrol", "requeue", _job(env), timeout=_ANSWER)
    except ProgramError:
        return False
    return True


def _job(env: Mapping[str, str]) -> str:
    """Return the id of the job (in an array: of the task) that this worker is in; "" if it is in none.

    The last task of an array that Slurm starts has the array's own id as its job's id, which means all of its tasks.

    >>> _job({"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"})
    '7_2'
    """
    array, task = env.get("SLURM_ARRAY_JOB_ID", ""), env.get("SLURM_ARRAY_TASK_ID", "")
    if array.isdecimal() and task.isdecimal():
        return f"{array}_{task}"
    job = env.get("SLURM_JOB_ID", "")
    return job if job.isdecimal() else ""


def _squeue(env: Mapping[str, str], what: str) -> str:
    """Return what Slurm says of this worker's job; "" where it does not answer: nothing depends on the answer."""
    try:
        return call("squeue", "-h", "-j", _job(env), "-o", what, timeout=_ANSWER).strip() if _job(env) else ""
    except ProgramError:
        return ""
