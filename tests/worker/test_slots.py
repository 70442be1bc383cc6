"""How many runs execute at once, and the GPU of each rank."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import pytest

from pydoit_sc.worker import cgroup
from pydoit_sc.worker.slots import NoGpuError, slots

HERE = max(1, int(min(len(os.sched_getaffinity(0)), cgroup.processors() or math.inf)))


@pytest.mark.parametrize(
    ("nprocs", "env", "expected"),
    [
        (3, {"SLURM_CPUS_ON_NODE": "8"}, 3),
        (None, {}, HERE),
        ("cores", {}, HERE),
        ("cores", {"SLURM_CPUS_ON_NODE": "8"}, 8),
        ("cores", {"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "3"}, 3),
        ("cores", {"SLURM_CPUS_PER_TASK": "", "SLURM_CPUS_ON_NODE": "0"}, HERE),
    ],
)
def test_cores(nprocs: int | str | None, env: Mapping[str, str], expected: int) -> None:
    assert slots(nprocs, env) == (expected, None)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"SLURM_JOB_GPUS": "0,2"}, ["0", "2"]),
        ({"SLURM_GPUS_ON_NODE": "2"}, ["0", "1"]),
        ({"SLURM_GPUS_ON_NODE": "a100:2"}, ["0", "1"]),
        ({"SLURM_JOB_GPUS": "0,2", "CUDA_VISIBLE_DEVICES": "4,5"}, ["4", "5"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1, GPU-2,-1,GPU-3"}, ["GPU-1", "GPU-2"]),
        ({"CUDA_VISIBLE_DEVICES": "MIG-GPU-1/3/0,MIG-2,void,0"}, ["MIG-GPU-1/3/0", "MIG-2"]),
        ({"CUDA_VISIBLE_DEVICES": "2,,3"}, ["2"]),
    ],
)
def test_gpus(env: Mapping[str, str], expected: list[str]) -> None:
    assert slots("gpus", env) == (len(expected), expected)


@pytest.mark.parametrize("shown", ["", "-1", "-1,0", "NoDevFiles", "void", "none"])
def test_no_gpu_is_a_message(shown: str) -> None:
    with pytest.raises(NoGpuError, match=r"CUDA_VISIBLE_DEVICES=.* shows none"):
        slots("gpus", {"CUDA_VISIBLE_DEVICES": shown})


@pytest.mark.parametrize(("share", "expected"), [(None, 8), (2.5, 2), (0.5, 1), (64.0, 8)])
def test_cores_of_a_container(monkeypatch: pytest.MonkeyPatch, share: float | None, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cgroup, "processors", lambda: share)
    assert slots("cores", {}) == (expected, None)
