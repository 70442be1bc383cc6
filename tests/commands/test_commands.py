"""`plan`, `list`, `info`, `clean`, `forget`, `ignore`, `init`: what they say and what they change."""

from __future__ import annotations

import pytest

from .conftest import HEAD, Box


def test_plan_counts_by_reason(stages: Box) -> None:
    assert stages.ok("plan").splitlines() == [
        "4 of 4 runs to execute: 4 no status_code",
        "  a:1  incomplete: no status_code",
        "  a:2  incomplete: no status_code",
        "  a:3  incomplete: no status_code",
        "  b  incomplete: no status_code",
    ]
    stages.ok()
    assert stages.ok("plan") == "all 4 runs are up to date\n"
    (stages.folder / "out/a/2/status_code").write_text("what?")
    (stages.folder / "out/a/3/status_code").write_text("5")
    plan = stages.ok("plan").splitlines()
    assert plan[0] == (
        "3 of 4 runs to execute: 1 status_code holds no status code, 1 failed before, "
        "1 an earlier stage has been published since"
    )
    assert plan[1:] == [
        "  a:2  incomplete: status_code holds no status code",
        "  a:3  error: status code 5",
        "  b  stale: an earlier stage has been published since",
    ]
    assert stages.ok("plan", "a:2", "a:1").startswith("1 of 2 runs to execute: 1 status_code holds")
    assert stages.ok("plan", "-a", "a:1").startswith("1 of 1 runs to execute: 1 forced")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]  # all before the plans


def test_plan_lists_twenty(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "echo {x}"\nmatrix = { x = { range = [0, 25] } }\n')
    shown = box.ok("plan").splitlines()
    assert (len(shown), shown[-1]) == (22, "  and 5 more; --all lists them")
    assert len(box.ok("plan", "--all").splitlines()) == 26
    assert not (box.folder / "out").exists()


def test_plan_warns_of_moved_positions(box: Box) -> None:
    runs = [f'[[runs]]\ncmd = "echo {x}"\n' for x in "pqr"]
    box.batchfile(HEAD + "".join(runs))
    box.ok()
    assert "warning" not in box.ok("plan")
    box.batchfile(HEAD + '[[runs]]\ncmd = "echo o"\n' + "".join(runs))
    plan = box.ok("plan")
    assert plan.startswith("4 of 4 runs to execute: 3 the command has changed, 1 no status_code\n")
    assert "warning: 3 runs without a name are where another command was (first `0`)" in plan


def test_list(stages: Box) -> None:
    assert stages.ok("list") == "a   3 runs\nb   echo b >> log\n"
    stages.ok("a:1")
    status = "R a     3 runs\nU a:1   echo a:1 >> log; cat in\nR a:2"
    assert stages.ok("list", "--all", "--status").startswith(status)
    assert stages.ok("list", "--all", "--status", program="doit").startswith(status)
    stages.ok()
    assert {line[0] for line in stages.ok("list", "--all", "--status").splitlines()} == {"U"}
    assert stages.ok("list", "a", "--all", "-q").split() == ["a", "a:1", "a:2", "a:3"]
    assert stages.ok("list", "a:*", "-q").split() == ["a:1", "a:2", "a:3"]


def test_info_says_why(stages: Box) -> None:
    new = stages("info", "a:1")
    assert (new.code, new.err) == (1, "")
    assert "incomplete: no status_code" in new.out
    stages.ok()
    assert "status     : up-to-date" in stages.ok("info", "a:1", program="doit")
    stages.edit('"echo b', '"echo  b')
    stages.write("in", "2")
    assert "stale: a file_dep has changed" in stages("info", "a:1").out
    assert "stale: the command has changed" in stages("info", "b", program="doit").out
    assert "3 of 3 runs to execute" in stages("info", "a").out
    assert f"file://{stages.folder}/out/a/1/status_code" in stages("info", "a:1", program="doit").out


def test_clean(stages: Box) -> None:
    stages.ok()
    stages.ok("-a", "a:1")
    before = stages.tree()
    dry = stages.ok("clean", "-n", "a:1")
    assert dry == f"a:1 - removing file://{stages.folder}/out/a/1\n"
    assert stages.tree() == before
    assert stages.ok("clean", "a:1", program="doit") == dry
    assert stages.tree() == [path for path in before if not path.startswith("a/1/")]
    assert list((stages.folder / "out/.pydoit_sc/history").glob("*/*")) == []
    stages.ok("clean", "a:*")
    assert stages.tree() == ["b/run.json", "b/status_code", "b/stderr", "b/stdout"]
    stages.ok("clean", program="doit")
    assert stages.tree() == []
    stages.executed()
    stages.ok()
    assert len(stages.executed()) == 4


def test_forget_keeps_the_output_as_history(stages: Box) -> None:
    stages.ok()
    assert stages.ok("forget", "a:2") == "forgetting a:2\n"
    assert not (stages.folder / "out/a/2").exists()
    history = stages.folder / "out/.pydoit_sc/history/a/2"
    assert [(run / "stdout").read_text() for run in history.iterdir()] == ["1"]
    stages.executed()
    stages.ok("a")
    assert stages.executed() == ["a:2"]
    stages.ok("forget", "a", program="doit")
    stages.ok("a")
    assert stages.executed() == ["a:1", "a:2", "a:3"]
    assert "name the runs or stages" in stages("forget").refused()
    stages.ok("forget", "--all", program="doit")
    assert stages.tree() == []


def test_ignore_until_forget(stages: Box) -> None:
    stages.edit('after = ["a"]\n', "")
    assert stages.ok("ignore", "a:2") == "ignoring a:2\n"
    stages.ok()
    assert stages.executed() == ["a:1", "a:3", "b"]
    assert "I a:2" in stages.ok("list", "--all", "--status", program="doit")
    stages.ok("forget", "a:2")
    stages.ok()
    assert stages.executed() == ["a:2"]
    assert "name the runs or stages" in stages("ignore", program="doit").refused()


@pytest.mark.parametrize("command", ["clean", "forget", "ignore", "info", "list", "plan", "logs"])
def test_unknown_names(stages: Box, command: str) -> None:
    assert "did you mean `a:1`?" in stages(command, "a:11").refused()


def test_init_is_a_project_that_runs(box: Box) -> None:
    out = box.ok("init", "my project")
    folder = box.folder / "my project"
    assert sorted(path.name for path in folder.iterdir()) == ["batchfile.toml", "doit.cfg", "work.py"]
    assert "next: cd 'my project' && pydoit-sc plan" in out
    box.ok(cwd=folder)
    assert "up to date" in box.ok(cwd=folder, program="doit")
    assert "has batchfile.toml" in box("init", "my project").refused()
    assert "has batchfile.toml" in box("init", cwd=folder).refused()
    box.write("file", "")
    assert "file" in box("init", "file").refused()
    assert "file" in box("init", "file/below").refused()
