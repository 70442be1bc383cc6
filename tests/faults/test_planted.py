"""The suite finds bugs: each of those planted in the program breaks the promise where it looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import explore, planted
from tests.faults.crash import crashes
from tests.faults.explore import Experiment, T
from tests.faults.freeze import freezes
from tests.faults.lab import Scenario

traced = pytest.mark.usefixtures("can_trace")
powered = pytest.mark.usefixtures("can_cut_power")

ONE, RACED = Scenario(1), Scenario(1, raced=True)


def find(bug: str, experiment: Experiment[T]) -> str:
    """Return what the suite says of a bug, "" if it does not find it."""
    return "\n".join(explore.explore(experiment, bug=bug).violations)


@traced
def test_a_status_code_that_is_published_before_the_data_is_found() -> None:
    found = find("status_code_first", crashes(ONE))
    ways = ("has a status_code, and [", "expected b'", "status_code b'0', but run.json")
    assert any(way in found for way in ways), found


@traced
@powered
def test_data_that_was_not_brought_to_the_disk_is_found() -> None:
    assert "not published" in find("no_sync", crashes(ONE, power=True))


@traced
def test_files_that_are_renamed_one_by_one_are_found() -> None:
    assert find("rename_by_file", freezes(RACED))


@traced
def test_a_completed_run_that_is_executed_again_is_found() -> None:
    found = find("completed_again", crashes(ONE))
    assert "was completed" in found or "was executed later" in found, found


@traced
def test_a_completed_outcome_that_is_replaced_is_found() -> None:
    assert "was completed, and was changed after that" in find("last_one_wins", freezes(RACED))


def test_the_program_runs_with_a_bug_from_the_command_line(tmp_path: Path) -> None:
    chunk = tmp_path / "chunk.json"
    chunk.write_text('{"runs": [{"cmd": "echo hello"}], "remote_output_path": "out", "nprocs": 1}')
    words = [sys.executable, planted.__file__, "status_code_first", "--", "batch", str(chunk)]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONWARNINGS": "error"}, timeout=60)
    assert (tmp_path / "out" / "0" / "stdout").read_text() == "hello\n"
