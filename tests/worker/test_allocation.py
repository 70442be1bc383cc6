"""The end of a Slurm job, and queueing it again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pydoit_sc.worker import allocation


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs are called in place of Slurm's."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3:04", 184),
        ("0:00", 0),
        ("1:02:03", 3723),
        ("2-01:02:03", 176523),
        ("UNLIMITED", None),
        ("NOT_SET", None),
        ("", None),
    ],
)
def test_the_time_that_is_left(text: str, seconds: int | None) -> None:
    assert allocation.seconds_left(text) == seconds


def test_the_environment_says_when_the_job_ends() -> None:
    assert allocation.end_of_time({"SLURM_JOB_END_TIME": "1700000000"}) == 1700000000
    assert allocation.end_of_time({}) is None


def test_slurm_is_asked_when_the_job_ends(slurm: Path) -> None:
    program(slurm, "squeue", '[ "$*" = "-h -j 7 -o %L" ] && echo 1:00:00')
    end = allocation.end_of_time({"SLURM_JOB_ID": "7"})
    assert end is not None
    assert 3590 < end - time.time() < 3610
    program(slurm, "squeue", "echo broken >&2; exit 1")
    assert allocation.end_of_time({"SLURM_JOB_ID": "7"}) is None


def test_only_running_jobs_of_ours_are_queued_again(slurm: Path) -> None:
    env = {"SLURM_JOB_ID": "7", "PYDOIT_SC_REQUEUE": "1"}
    program(slurm, "squeue", "echo RUNNING")
    assert allocation.can_start_again(env)
    assert not allocation.can_start_again({"SLURM_JOB_ID": "7"})
    assert not allocation.can_start_again({"PYDOIT_SC_REQUEUE": "1"})
    program(slurm, "squeue", "echo COMPLETING")
    assert not allocation.can_start_again(env)


def test_a_task_of_an_array_is_asked_for_and_queued_again_alone(slurm: Path) -> None:
    env = {
        "SLURM_JOB_ID": "7",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "2",
        "PYDOIT_SC_REQUEUE": "1",
    }
    program(slurm, "squeue", '[ "$*" = "-h -j 7_2 -o %T" ] && echo RUNNING')
    program(slurm, "scontrol", '[ "$*" = "requeue 7_2" ]')
    assert allocation.can_start_again(env)
    assert allocation.start_again(env)


def test_a_refusal_is_no_error(slurm: Path) -> None:
    program(slurm, "scontrol", '[ "$*" = "requeue 7" ]')
    assert allocation.start_again({"SLURM_JOB_ID": "7"})
    assert not allocation.start_again({"SLURM_JOB_ID": "8"})
