"""Runs that use more memory than they may, and what several processes share."""

from __future__ import annotations

import os
import sys

import pytest

from pydoit_sc.batch import Settings
from pydoit_sc.proc import read_stat, resident_size
from pydoit_sc.worker.memory import is_larger
from tests.worker.workplace import Workplace

PYTHON = f"{sys.executable} -I -S -c"
GROW = f"""{PYTHON} 'held = b"x" * 150_000_000; import time; time.sleep(100)'"""
# Its four children have its memory, too: 400 MB as the quick sum counts it.
SHARED = f"""{PYTHON} 'import os, time
held = b"x" * 80_000_000
children = [os.fork() for _ in range(2)]
time.sleep(1.5)'"""
LIMIT = Settings(memory=120_000_000)


@pytest.mark.slow
def test_runs_that_grow_are_killed_whole(place: Workplace) -> None:
    """Whatever process of a run it is that grows: one in a session of its own, or one that it has left to the worker."""
    runs = {
        "grows": GROW,
        "session": f"setsid -w {GROW}; sleep 100",
        "orphan": f"(setsid {GROW} &); sleep 100",
    }
    kept = {
        "shares": SHARED,
        "unlimited": f"{PYTHON} 'held = b\"x\" * 150_000_000; import time; time.sleep(1.5)'",
    }
    settings = dict.fromkeys((*runs, "shares"), LIMIT)
    place.work(place.chunk({**runs, **kept}, settings, nprocs=5))
    assert place.codes() == {**dict.fromkeys(runs, 137), "shares": 0, "unlimited": 0}
    assert {place.run_json(run)["reason"] for run in runs} == {"used more than 120 MB of memory"}
    assert "reason" not in place.run_json("shares")


@pytest.mark.parametrize(("most", "larger"), [(30, False), (29, True)])
def test_the_quick_sum_counts_where_the_kernel_tells_no_more(most: int, larger: bool) -> None:
    assert is_larger({-1: 10, -2: 20}, most) is larger


def test_what_is_shared_is_counted_once() -> None:
    share, stat = resident_size(os.getpid()), read_stat(os.getpid())
    assert stat is not None and share is not None
    quick = stat.resident * os.sysconf("SC_PAGE_SIZE")
    assert 0 < share < quick * 1.1
    assert not is_larger({os.getpid(): 100 * quick}, 2 * quick)
