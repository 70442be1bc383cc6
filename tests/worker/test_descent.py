"""Which run a process belongs to."""

from __future__ import annotations

import os
import subprocess

import pytest

from pydoit_sc.proc import Stat
from pydoit_sc.worker import descent
from pydoit_sc.worker.descent import ATTEMPT_VARIABLE, attempt_told_by, members, with_descendants


def test_whose_a_process_is() -> None:
    parents = {2: 1, 3: 2, 4: 3, 5: 1, 6: 5, 7: 6, 8: 9}
    processes = {pid: Stat("S", parent, 0, "", 0) for pid, parent in parents.items()}
    assert with_descendants({2: 2, 5: 5, 7: 2}, processes) == {2: 2, 3: 2, 4: 2, 5: 5, 6: 5, 7: 2}


def test_nothing_is_read_for_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(descent, "read_stats")
    assert members(()) == []


def test_its_session_tells_and_else_its_environment() -> None:
    env = {**os.environ, ATTEMPT_VARIABLE: "w-2"}
    with subprocess.Popen(
        ["sh", "-c", "setsid sleep 60 & echo $!; wait"],
        env=env, start_new_session=True, stdout=subprocess.PIPE, text=True,
    ) as leader:  # fmt: skip
        try:
            assert leader.stdout
            other = int(leader.stdout.readline())
            assert attempt_told_by(leader.pid, {leader.pid: "w-1"}) == "w-1"
            assert attempt_told_by(leader.pid, {}) == "w-2"
            assert members([leader.pid]) == [leader.pid, other]
            assert attempt_told_by(other, {}) == "w-2"
            assert attempt_told_by(os.getpid(), {leader.pid: "w-1"}) == ""
        finally:
            os.kill(other, 9)
            leader.wait()
    assert attempt_told_by(leader.pid, {}) == ""  # it is gone
