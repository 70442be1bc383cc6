"""How many runs execute at once, and which GPU each rank sees: a number, the machine's cores, or its GPUs; who holds which.

What Slurm has given this worker comes first: its environment says so. Elsewhere it is the cores that this process may
use, by its affinity and its control groups, and the GPUs that it sees.
"""

from __future__ import annotations

import heapq
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import takewhile

from pydoit_sc.batch import Settings
from pydoit_sc.errors import UserError
from pydoit_sc.programs import call
from pydoit_sc.shells import check_shell
from pydoit_sc.worker import cgroup

_DEVICE = re.compile(r"[0-9]+|(GPU|MIG)-.+")  # as CUDA has it: an index, or a UUID


class NoGpuError(UserError):
    """`nprocs = "gpus"` on a machine without a visible GPU; the text names the places that were looked at."""


def slots(
    nprocs: int | str | None, env: Mapping[str, str] = os.environ, *, wanted: int | None = None
) -> tuple[int, Sequence[str] | None]:
    """Return how many runs execute at once, and the GPU of each rank where there is one each; raises NoGpuError.

    `wanted` takes the place of `nprocs`; of GPUs it is the most, since each run keeps its own.

    >>> slots("gpus", {"CUDA_VISIBLE_DEVICES": "2,3"}), slots("gpus", {"CUDA_VISIBLE_DEVICES": "2,3"}, wanted=1)
    ((2, ['2', '3']), (1, ['2', '3']))
    """
    if nprocs == "gpus":
        gpus = _gpus_of_slurm(env) or _visible_gpus(env)
        return min(len(gpus), wanted or len(gpus)), gpus
    count = wanted or (nprocs if isinstance(nprocs, int) else None)
    return count or _cores_of_slurm(env) or _cores(), None


def check_needs(task: str, settings: Settings, nprocs: int) -> None:
    """Raise UserError where a run cannot execute here: its shell is not there, or it needs more slots than there are."""
    check_shell(task, settings.shell, settings.env)
    check_slots(task, settings.slots, nprocs)


def check_slots(task: str, count: int, nprocs: int) -> None:
    """Raise UserError where a run needs more slots than a worker has."""
    if count > nprocs:
        raise UserError(
            f"{task}: expected `slots` of at most {nprocs}, the runs at once on a machine (`nprocs`), found {count}"
        )


class Ranks:
    """The ranks of a worker that are free: the lowest are given first.

    >>> ranks = Ranks(3)
    >>> ranks.take(2), len(ranks)
    ((0, 1), 1)
    >>> ranks.resize(2)
    >>> len(ranks), ranks.give_back([0]), len(ranks)
    (0, None, 1)
    """

    def __init__(self, count: int) -> None:
        self.count = count  # that may be held at once
        self._known = count  # the ranks that there have been: more than `count` after it was made smaller
        self._free = list(range(count))  # a heap

    def __len__(self) -> int:
        return max(0, len(self._free) - self._known + self.count)

    def resize(self, count: int) -> None:
        """Let so many ranks be held at once; those that are held stay so."""
        for rank in range(self._known, count):
            heapq.heappush(self._free, rank)
        self._known = max(self._known, count)
        self.count = count

    def take(self, count: int) -> tuple[int, ...]:
        """Take as many ranks as a run holds, which must be free."""
        return tuple([heapq.heappop(self._free) for _ in range(count)])

    def give_back(self, ranks: Sequence[int]) -> None:
        """Give back the ranks of a run that has ended."""
        for rank in ranks:
            heapq.heappush(self._free, rank)


def _cores() -> int:
    """Return the cores that this process may use; of a container's share, `--cpus=2.5`, the whole ones."""
    return max(1, int(min(len(os.sched_getaffinity(0)), cgroup.processors() or math.inf)))


def _cores_of_slurm(env: Mapping[str, str]) -> int | None:
    """Return how many cores Slurm has given this worker on this machine; None without Slurm."""
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        value = env.get(name, "")
        if value.isdecimal() and int(value):
            return int(value)
    return None


def _gpus_of_slurm(env: Mapping[str, str]) -> Sequence[str] | None:
    """Return the GPUs that Slurm has given this worker on this machine; None where it does not say.

    Slurm sets CUDA_VISIBLE_DEVICES where its GPUs are configured to; else SLURM_JOB_GPUS names them (`0,2`) or
    SLURM_GPUS_ON_NODE counts them (`2`, older versions `a100:2`).
    """
    if "CUDA_VISIBLE_DEVICES" in env:
        return None
    named = [name.strip() for name in env.get("SLURM_JOB_GPUS", "").split(",") if name.strip()]
    if named:
        return named
    count = env.get("SLURM_GPUS_ON_NODE", "").rpartition(":")[2]
    return [str(index) for index in range(int(count))] if count.isdecimal() and int(count) else None


def _visible_gpus(env: Mapping[str, str]) -> Sequence[str]:
    """Return this process's GPUs as CUDA_VISIBLE_DEVICES names them, or all of the machine's; raises NoGpuError."""
    named = env.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        # CUDA takes the entries up to the first that is not a device, such as -1, or NoDevFiles of Slurm.
        gpus = list(takewhile(_DEVICE.fullmatch, map(str.strip, named.split(","))))
        if not gpus:
            raise NoGpuError(f'nprocs = "gpus", but CUDA_VISIBLE_DEVICES={named!r} shows none')
        return gpus
    devices = [name for name in os.listdir("/dev") if re.fullmatch(r"nvidia\d+", name)]
    count = len(devices) or _count_by_nvidia_smi()
    if not count:
        raise NoGpuError(
            'nprocs = "gpus", but this machine has none: no /dev/nvidia0, and nvidia-smi lists none'
        )
    return [str(index) for index in range(count)]


def _count_by_nvidia_smi() -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    return sum(line.startswith("GPU ") for line in call("nvidia-smi", "-L", timeout=60).splitlines())
