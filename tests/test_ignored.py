"""What `ignore` has said is of one batch, and of a command where a run has no name of its own."""

from __future__ import annotations

import json
import shutil

import pytest

from pydoit_sc.ignored import FILE
from tests.conftest import Box


def job(number: int, *cmds: str, to: str = "") -> str:
    runs = [{"cmd": f"echo {cmd} >> log"} for cmd in cmds]
    return json.dumps({"nprocs": 2, "remote_output_path": to or f"out{number}", "runs": runs})


@pytest.fixture
def jobs(box: Box) -> Box:
    """Two run lists in one folder."""
    box.write("j1.json", job(1, "a0", "a1", "a2"))
    box.write("j2.json", job(2, "b0", "b1"))
    return box


def test_a_full_disk_is_told_with_the_file(jobs: Box) -> None:
    done = jobs.shell("ulimit -f 0; pydoit-sc ignore j1.json runs:0")
    assert done.refused() == f"ERROR: {jobs.folder / FILE}: File too large\n"


def test_other_batches_in_the_folder_have_marks_of_their_own(jobs: Box) -> None:
    jobs.ok("ignore", "j1.json", "runs:0")
    jobs.ok("run", "j2.json")
    assert jobs.executed() == ["b0", "b1"]
    jobs("ignore", "j2.json", "--undo", "runs:0")
    jobs("ignore", "j2.json", "--undo", "runs")
    assert jobs.ok("plan", "j1.json").startswith(
        "2 of 2 runs to execute: 2 no outcome yet; 1 more is ignored\n"
    )
    jobs.ok("ignore", "j2.json", "runs")
    jobs.ok("run", "j1.json")
    assert jobs.executed() == ["a1", "a2"]
    assert jobs.ok("plan", "j2.json") == "2 runs are ignored\n"
    jobs.write("j2.json", job(2, "b0", "b1", "b2"))
    assert jobs.ok("plan", "j2.json") == "3 runs are ignored\n"  # which was said of all of it
    jobs.ok("ignore", "j1.json", "--undo", "runs:0")
    jobs.ok("run", "j1.json")
    assert jobs.executed() == ["a0"]
    assert jobs.ok("plan", "j1.json", "--to", "elsewhere").startswith("3 of 3 runs to execute")


def test_a_command_without_a_name_stays_ignored_where_it_is_moved(jobs: Box) -> None:
    jobs.ok("ignore", "j1.json", "runs:0", "runs:2")
    jobs.write("j1.json", job(1, "new", "a0", "a1", "a2"))
    jobs.ok("run", "j1.json")
    assert jobs.executed() == ["a1", "new"]
    jobs.ok("ignore", "j1.json", "runs:0")  # which has its old place
    jobs.ok("ignore", "j1.json", "--undo", "runs:3")
    assert jobs.ok("plan", "j1.json").startswith("1 of 2 runs to execute: 1 no outcome yet; 2 more are")
    jobs.ok("run", "j1.json")
    assert jobs.executed() == ["a2"]
    jobs.write("j1.json", job(1, "other", "a1", "a2"))
    assert "ignored" not in jobs("plan", "j1.json").out


def test_of_equal_commands_as_many_are_ignored_as_were(jobs: Box) -> None:
    jobs.write("j1.json", job(1, "a", "a", "a"))
    jobs.ok("ignore", "j1.json", "runs:1")
    jobs.write("j1.json", job(1, "b", "b", "a", "a"))
    jobs.ok("run", "j1.json")
    assert jobs.executed() == ["a", "b", "b"]


def test_a_run_with_a_name_stays_ignored_where_its_command_is_edited(stages: Box) -> None:
    stages.ok("ignore", "a:2", "b")
    stages.edit("cat in", "cat in in")
    stages.ok()
    assert stages.executed() == ["a:1", "a:3"]
    stages.write("cmds.csv", "name,cmd\nx,echo x >> log\ny,echo y >> log\n")
    stages.ok("ignore", "cmds.csv", "--to", "there", "runs:x")
    stages.edit("x,echo x", "x,echo new", "cmds.csv")
    stages.ok("run", "cmds.csv", "--to", "there")
    assert stages.executed() == ["y"]
    assert stages.ok("plan").endswith("2 more are ignored\n")


def test_a_run_of_an_ignored_stage_that_is_ignored_no_longer(stages: Box) -> None:
    stages.ok("ignore", "a")
    stages.ok("ignore", "--undo", "a:2")
    assert "!!" not in stages.ok()
    assert stages.executed() == ["a:2", "b"]
    assert stages.ok("plan").endswith("; 2 more are ignored\n")


def test_ignoring_is_undone_and_the_outcome_stays(stages: Box) -> None:
    stages.ok()
    stages.executed()
    stages.ok("ignore", "a")
    assert stages.ok("ignore", "--undo", "a:2", "a:3") == "no longer ignored: a:2\nno longer ignored: a:3\n"
    assert stages.ok("plan") == "all 3 runs are up to date; 1 more is ignored\n"
    assert stages.ok("ignore", "--undo", "a") == "no longer ignored: a:1\n"
    assert stages.ok("ignore", "--undo", "a", "b") == "nothing of that is ignored\n"
    assert stages.ok() == "all 4 runs are up to date\n"
    assert "name the runs" in stages("ignore", "--undo").refused()


@pytest.mark.parametrize(
    "words", ["forget a:1", "forget --status error", "forget --all", "clean --forget a:1"]
)
def test_what_is_forgotten_stays_ignored(stages: Box, words: str) -> None:
    stages.edit("cat in", "exit 3")
    stages("a")
    stages.ok("ignore", "a:1")
    stages.ok(*words.split())
    assert not (stages.folder / "out/a/1/status_code").exists()
    assert "1 more is ignored" in stages.ok("plan")


def test_a_folder_that_is_moved(stages: Box) -> None:
    stages.ok("ignore", "a:2")
    moved = Box(stages.folder / "moved")
    shutil.copytree(stages.folder, moved.folder)
    moved.ok()
    assert moved.executed() == ["a:1", "a:3", "b"]


def test_a_task_of_the_users_own_that_doit_ignores_is_none_of_ours(stages: Box) -> None:
    dodo = (
        'DOIT_CONFIG = {"backend": "json", "dep_file": ".pydoit_sc.json"}',
        "from pydoit_sc.tasks.tasks import batch_tasks",
        "def task_batch(): yield from batch_tasks()",
        'def task_prepare(): return {"actions": ["echo prepare >> log"]}',
    )
    stages.write("dodo.py", "\n".join(dodo))
    stages.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    assert stages.ok("ignore", "prepare", program="doit") == "ignoring prepare\n"
    done = stages("plan")
    assert done.out.startswith("4 of 4 runs to execute")
    assert done.err == ""
    stages.ok(program="doit")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]


@pytest.mark.parametrize("text", ["{", "[]", '{"out/a/2": 1, "out/": "", "out": "", "/": ""}', "[" * 100_000])
def test_a_file_that_is_none_of_ours(stages: Box, text: str) -> None:
    stages.write(".pydoit_sc.ignored.json", text)
    assert stages.ok("plan").startswith("4 of 4 runs to execute")
    stages.ok("ignore", "a:2")
    assert "1 more is ignored" in stages.ok("plan")
