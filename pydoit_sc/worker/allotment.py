"""What a scheduler has given this worker: cores, GPUs, the end of its time; and asking Slurm for another start.

The worker's environment tells; Slurm is asked for the rest, once. Of other schedulers nothing is known: then it is the
cores that this process may use, the GPUs that it sees, and no end.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence

from pydoit_sc.worker.gpus import cores, visible_gpus

#: Set by our job script: a worker that leaves runs for lack of time has its job queued again.
REQUEUE_VARIABLE = "PYDOIT_SC_REQUEUE"

#: The exit code of a worker that has left runs for lack of time (EX_TEMPFAIL).
OUT_OF_TIME = 75

_ANSWER = 10.0  # seconds for Slurm's daemon to answer
_LEFT = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", re.ASCII)


def cores_of(env: Mapping[str, str]) -> int | None:
    """Return how many cores Slurm has given this worker on this machine; None where there is no Slurm."""
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        value = env.get(name, "")
        if value.isdecimal() and int(value):
            return int(value)
    return None


def gpus_of(env: Mapping[str, str]) -> Sequence[str] | None:
    """Return the GPUs that Slurm has given this worker on this machine; None where it has not said.

    Slurm sets CUDA_VISIBLE_DEVICES where its GPUs are configured to; else SLURM_JOB_GPUS names them (`0,2`) or
    SLURM_GPUS_ON_NODE counts them (`2`, older ones `a100:2`).
    """
    if "CUDA_VISIBLE_DEVICES" in env:
        return None
    named = [name.strip() for name in env.get("SLURM_JOB_GPUS", "").split(",") if name.strip()]
    if named:
        return named
    count = env.get("SLURM_GPUS_ON_NODE", "").rpartition(":")[2]
    return [str(index) for index in range(int(count))] if count.isdecimal() and int(count) else None


def job_of(env: Mapping[str, str]) -> str | None:
    """Return the id of the Slurm job (of an array's: the task's own) that this worker is in, None if in none."""
    job = env.get("SLURM_JOB_ID", "")
    return job if job.isdecimal() else None


def seconds_left(text: str) -> int | None:
    """Return what `squeue -o %L` says, `1-02:03:04` or `3:04`, in seconds; None for UNLIMITED and the like."""
    match = _LEFT.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def slots(nprocs: int | str | None, env: Mapping[str, str] = os.environ) -> tuple[int, Sequence[str] | None]:
    """Return how many runs execute at once, and the GPU of each rank where there is one each; raises NoGpuError."""
    if nprocs == "gpus":
        gpus = gpus_of(env) or visible_gpus(env)
        return len(gpus), gpus
    return (nprocs if isinstance(nprocs, int) else cores_of(env) or cores()), None


def end_of_time(env: Mapping[str, str] = os.environ) -> float | None:
    """Return when Slurm ends this worker's job, in seconds since the epoch; None where nothing is known of an end."""
    stamp = env.get("SLURM_JOB_END_TIME", "")  # newer versions of Slurm
    if stamp.isdecimal():
        return float(stamp)
    job = job_of(env)
    left = seconds_left(_ask("squeue", "-h", "-j", job, "-o", "%L")) if job else None
    return None if left is None else time.time() + left


def can_start_again(env: Mapping[str, str] = os.environ) -> bool:
    """Say whether this worker is in a job of ours that Slurm can queue again, and would not by itself.

    Slurm still calls it running then: one that it is ending itself was cancelled, or is queued again by Slurm.
    """
    job = job_of(env)
    if job is None or env.get(REQUEUE_VARIABLE) != "1":
        return False
    return _ask("squeue", "-h", "-j", job, "-o", "%T").strip() == "RUNNING"


def start_again(env: Mapping[str, str] = os.environ) -> bool:
    """Have Slurm queue this worker's job again, which ends this process soon; False if Slurm refuses."""
    return _answered("scontrol", "requeue", job_of(env) or "") is not None


def _ask(*words: str) -> str:
    return _answered(*words) or ""


def _answered(*words: str) -> str | None:
    """Return what a program of Slurm writes, None where it fails: nothing that is right rests on its answer."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_ANSWER, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
