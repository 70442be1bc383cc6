"""Words that mean nothing are answered with what was probably meant."""

from __future__ import annotations

import pytest

from tests.conftest import HEAD, Box

TWO = (
    HEAD
    + '[runs.month]\ncmd = "echo {m}"\nmatrix = { m = ["2012-01", "2012-02"] }\n[runs.plot]\ncmd = "true"\n'
)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["rnu"], "no run, stage or command is named `rnu`; did you mean `run`?"),
        (["stauts"], "did you mean `status`?"),
        (["2012-01"], "no run, stage or command is named `2012-01`; did you mean `month:2012-01`?"),
        (["logs", "2012-01"], "no run or stage is named `2012-01`; did you mean `month:2012-01`?"),
        (["logs", "echo 2012-02"], "did you mean `month:2012-02`?"),
        (["help", "2012-01"], "did you mean `month:2012-01`?"),
        (["help", "RUN"], "did you mean `run`?"),
        (["help", "month:2012-03"], "no run or stage is named `month:2012-03`; did you mean `month:2012-0"),
        (["month", "plan"], "`plan` is a command of `pydoit-sc`, as its first word: pydoit-sc plan"),
        (["run", "cmds.txt", "--to", "out"], "cmds.txt: no such file"),
    ],
)
def test_in_a_project(box: Box, words: list[str], answer: str) -> None:
    box.batchfile(TWO)
    assert answer in box(*words).refused()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["rnu"], "`rnu` is no file, and there is no batchfile.toml in this folder; did you mean `run`?"),
        (["--to", "out", "cmds"], "`cmds` is no file, and there is no batchfile.toml in this folder; -f FILE takes"),
        (["logs", "runs:0"], "`runs:0` is no file, and there is no batchfile.toml in this folder; "),
        (["help", "rnu"], "did you mean `run`?"),
        (["help", "runs:0"], "there is no batchfile.toml in this folder; -f FILE takes one from elsewhere"),
        (["status"], "there is no batchfile.toml in this folder; -f FILE takes one from elsewhere"),
        (["cmds.txt"], "cmds.txt: no such file"),
    ],
)  # fmt: skip
def test_where_there_is_no_project(box: Box, words: list[str], answer: str) -> None:
    assert answer in box(*words).refused()
    assert list(box.folder.iterdir()) == []


def test_a_run_of_a_list_without_its_prefix(box: Box) -> None:
    box.write("jobs.json", '["true", {"cmd": "false"}]')
    for word, name in {
        "1": "runs:1",
        "true": "runs:b5bea41b6c62",
        "b5bea41b6c62": "runs:b5bea41b6c62",
    }.items():
        assert f"did you mean `{name}`?" in box("logs", "jobs.json", "--to", "out", word).refused()
