"""Stages that are called as commands are: as the first word a command wins, and `run NAME` reaches the stage."""

from __future__ import annotations

import pytest

from pydoit_sc.batch import ENGINE_TASKS
from tests.conftest import DOIT_CFG, HEAD, Box

STAGES = ("report", "list", "plan", "run", "help", "clean", "batch", "auto")


def stage(name: str, after: str = "") -> str:
    return f'[runs.{name}]\ncmd = "echo {name}:{{x}} >> log"\n{after}matrix = {{ x = [1, 2] }}\n'


def runs(*names: str) -> list[str]:
    return sorted(f"{name}:{x}" for name in names for x in (1, 2))


@pytest.fixture
def named(box: Box) -> Box:
    """A batch of stages that commands are named as, one after another one."""
    box.batchfile(
        HEAD + "".join(stage(name) for name in STAGES) + stage("status", 'after = ["list", "plan"]\n')
    )
    return box


def test_run_reaches_every_stage(named: Box) -> None:
    named.ok("run", "run", "help", "batch:1")
    assert named.executed() == sorted([*runs("run", "help"), "batch:1"])
    named.ok("run", "status")  # and what it comes after
    assert named.executed() == runs("list", "plan", "status")
    named.ok("-n", "1", "clean")
    assert named.executed() == runs("clean")
    assert named.ok().startswith("5 of 18 runs to execute: 5 no outcome yet\n5 completed, 13 skipped, ")
    assert named.executed() == sorted([*runs("report", "auto"), "batch:2"])


def test_the_first_word_is_a_command(named: Box) -> None:
    named.ok("run", "list")
    named.executed()
    assert named.ok("plan", "plan").startswith("2 of 2 runs to execute")
    assert named.ok("list", "list").split() == ["list", "2", "runs"]
    named.ok("clean", "list:1")
    assert not (named.folder / "out/list/1").exists()
    assert named.executed() == []


def test_the_commands_of_doit_win_for_doit(named: Box) -> None:
    named.write("doit.cfg", DOIT_CFG)
    assert "list" in named.ok("list", program="doit")
    assert named.executed() == []
    named.ok("plan", program="doit")  # which is no command of doit
    named.ok("run", "list", program="doit")
    assert named.executed() == runs("list", "plan")


@pytest.mark.parametrize("name", ENGINE_TASKS)
def test_the_tasks_of_a_submission_stay_ours(box: Box, name: str) -> None:
    box.batchfile(HEAD + stage(name))
    assert (
        f"runs.{name}: `{name}` is the name of a task of pydoit-sc; give the stage another one"
        in box("plan").refused()
    )


def test_help_on_a_stage_that_is_nearly_a_command(box: Box) -> None:
    box.batchfile(HEAD + stage("plans"))
    assert box.ok("help", "plans") == "plans  2 runs\n"
    assert "no command is named `plas`; did you mean `plan`?" in box("help", "plas").refused()
