"""Which tasks of Dask the jobs of a submission are, by their ids `ADDRESS#KEY`, and which of them can be asked about."""

from __future__ import annotations

import os
import re

from pydoit_sc.batchfile.errors import show
from pydoit_sc.engines.base import Handed, JobState, State
from pydoit_sc.engines.dask_access import FILE, Access

OURS = "own"  # in place of an address: a cluster that ends with its tasks, reached by dask_access.py


def keys_at(handed: Handed, address: str) -> list[str]:
    """Return the keys of a submission's tasks at an address, or at `own`."""
    if not address:
        return []
    job = re.compile(rf"{re.escape(address)}#(pydoit-sc-{re.escape(handed.id)}-[0-9]+)")
    return [match[1] for match in map(job.fullmatch, handed.jobs) if match]


def at_others(handed: Handed, address: str) -> dict[str, JobState]:
    """Return the states of a submission's tasks at other addresses than the batchfile's, which is the only one asked."""
    job = re.compile(rf"(.+)#pydoit-sc-{re.escape(handed.id)}-[0-9]+")
    return {
        match[0]: JobState(State.UNKNOWN, f"it is at {show(match[1])}, which [dask] does not name")
        for match in map(job.fullmatch, handed.jobs)
        if match and match[1] not in (address, OURS)
    }


def out_of_reach(handed: Handed, access: Access | None) -> dict[str, JobState]:
    """Return the states of a submission's tasks on a cluster of ours, if nothing can be said of that here; else none."""
    if access is not None:
        why = (
            ""
            if access.is_here
            else f"its cluster is a process of {access.host}, and only that machine knows"
        )
    elif not os.path.isdir(handed.folder):
        why = f"its cluster is reached by the folder {handed.folder} of the machine that submitted it"
    elif os.path.lexists(os.path.join(handed.folder, FILE)):
        why = "its cluster is another user's"
    else:
        why = ""  # it has ended
    return {f"{OURS}#{key}": JobState(State.UNKNOWN, why) for key in keys_at(handed, OURS) if why}
