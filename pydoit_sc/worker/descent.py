"""Which run a process belongs to: by its session, its environment, or its ancestors."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping

from pydoit_sc.proc import GONE, Stat, read_stat, read_stats

#: Names the attempt a process belongs to, in its environment.
ATTEMPT_VARIABLE = "PYDOIT_SC_ATTEMPT"

_LOADING = 5  # milliseconds in which a new process comes to have its environment


def attempt_told_by(pid: int, live: Mapping[int, str]) -> str:
    """Return the attempt that a process is of, by its session or its environment; "" where neither tells."""
    try:
        session = os.getsid(pid)
        if session in live:
            return live[session]
        variables = _environment(pid)
    except GONE:
        return ""
    prefix = os.fsencode(f"{ATTEMPT_VARIABLE}=")
    return next((os.fsdecode(text[len(prefix) :]) for text in variables if text.startswith(prefix)), "")


def _environment(pid: int) -> list[bytes]:
    """Return a process's environment; one that is just loading its program has none for a moment."""
    for _ in range(_LOADING):
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read()
        stat = read_stat(pid)
        if variables or stat is None or stat.ended:
            return variables.split(b"\0")
        time.sleep(0.001)
    return []


def with_descendants(owners: Mapping[int, int], processes: Mapping[int, Stat]) -> dict[int, int]:
    """Return whose each process is, by pid: the owner of the nearest of its ancestors that has one."""
    owned = dict(owners)
    while grown := {
        pid: owned[stat.parent]
        for pid, stat in processes.items()
        if pid not in owned and stat.parent in owned
    }:
        owned |= grown
    return owned


def members(leaders: Collection[int]) -> list[int]:
    """Return all processes of these sessions, with their descendants in whatever session, parents first."""
    if not leaders:
        return []  # a machine may have thousands of processes to look at
    processes = read_stats()
    of_sessions = {pid: stat.session for pid, stat in processes.items() if stat.session in leaders}
    found = with_descendants(of_sessions, processes)
    return sorted(found, key=lambda pid: _depth(pid, found, processes))


def _depth(pid: int, members: Collection[int], processes: Mapping[int, Stat]) -> int:
    """Return how many of a process's ancestors are among these."""
    depth = 0
    while (pid := processes[pid].parent) in members:
        depth += 1
    return depth
