"""How many runs execute at once: a number, the processor's cores, or the visible GPUs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Literal

from pydoit_sc.errors import UserError


class NoGpuError(UserError):
    """`nprocs = "gpus"` on a machine without a visible GPU; the text says where was looked."""


def visible_gpus(env: Mapping[str, str]) -> Sequence[str]:
    """Return the worker's own GPUs, as CUDA_VISIBLE_DEVICES names them; all of the machine's if that is unset.

    Raises NoGpuError if there is none.
    """
    named = env.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        # CUDA takes the entries up to the first that is not a device, and -1 is none.
        gpus = [name.strip() for name in re.split(r",\s*-\d+|^-\d+", named)[0].split(",") if name.strip()]
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
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False, timeout=60)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def slots(nprocs: int | Literal["cores", "gpus"] | None) -> tuple[int, Sequence[str] | None]:
    """Return how many runs execute at once, and the GPU of each rank where there is one each."""
    if nprocs == "gpus":
        gpus = visible_gpus(os.environ)
        return len(gpus), gpus
    return (nprocs if isinstance(nprocs, int) else cores()), None
