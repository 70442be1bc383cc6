"""The first word may be the batch, `--to` says where its outputs are, and both mean the same to every command."""

from __future__ import annotations

import json

import pytest

from pydoit_sc.project import is_batch
from tests.conftest import DOIT_CFG, HEAD, STAGES, Box

JOBS = json.dumps([{"cmd": "echo 1"}, {"cmd": "echo oops >&2; exit 3"}])


@pytest.fixture
def jobs(box: Box) -> Box:
    """A run list without a place for its outputs, in a folder that has a batchfile too."""
    box.batchfile(STAGES)
    box.write("in", "")
    box.write("jobs.json", JOBS)
    return box


def test_every_command_takes_it(jobs: Box) -> None:
    batch = ("jobs.json", "--to", "there")
    assert jobs.ok("plan", *batch).startswith("2 of 2 runs to execute")
    assert "1 completed, 1 failed" in jobs("run", *batch, "-n", "1").out
    assert (jobs.folder / "there/0/stdout").read_text() == "1\n"
    assert jobs.ok("status", *batch).startswith("runs   2 runs: 1 completed, 1 failed")
    assert "1 × exit 3  oops" in jobs("failures", *batch).out
    assert jobs.ok("logs", *batch, "runs:0") == "1\n"
    assert jobs("verify", *batch).err.startswith("2 of 2 runs are finished: 2 whole\n")
    assert jobs("summarize-batch", *batch).err == "1 error, 1 completed\n"
    assert "R runs:1" in jobs.ok("list", *batch, "--all", "--status")
    assert "error: status code 3" in jobs("info", *batch, "runs:1").out
    assert jobs.ok("accept", *batch, "runs:0") == "no outcome to accept\n"
    assert jobs.ok("submissions", *batch) == "nothing has been submitted\n"
    assert jobs.ok("cancel", *batch) == "no submission of yours is under way\n"
    jobs.ok("forget", *batch, "runs:0")
    assert jobs("summarize-batch", *batch).err == "1 error, 1 incomplete\n"
    jobs.ok("clean", *batch, "runs:1")
    assert jobs("summarize-batch", *batch).err == "2 incomplete\n"
    assert jobs.ok("status").startswith("a      3 runs: 3 incomplete")  # the batchfile is untouched


def test_without_a_command_it_is_run(jobs: Box) -> None:
    assert "1 completed, 1 failed" in jobs("jobs.json", "--to", "there").out


@pytest.mark.parametrize("words", [["--to", "there"], ["--to=there"], ["--remote-output-path", "there"]])
def test_both_names_of_the_option(jobs: Box, words: list[str]) -> None:
    jobs.ok("a:1", *words)
    assert (jobs.folder / "there/a/1/status_code").read_text() == "0"
    assert jobs.ok("plan", *words).startswith("3 of 4 runs to execute")
    assert jobs.ok("plan").startswith("4 of 4 runs to execute")


def test_only_one_name_is_shown(jobs: Box) -> None:
    said = jobs.ok("help", "status")
    assert "--to URL" in said
    assert "remote-output-path" not in said
    assert "did you mean `--to`?" in jobs("status", "--too", "x").refused()


def test_a_url_with_a_key_and_a_value_is_no_variable_of_doit(jobs: Box) -> None:
    jobs.ok("a:1", "--to", f"file://{jobs.folder}/day=1")
    assert (jobs.folder / "day=1/a/1/status_code").exists()


def test_names_of_the_batchfile_win(jobs: Box) -> None:
    for name in ("a", "b", "chunk", "a:1"):
        jobs.write(name, "not a batch")
    assert jobs.ok("plan", "b").startswith("4 of 4 runs to execute")
    assert jobs.ok("plan", "a:1").startswith("1 of 1 runs to execute")
    assert "./b: " in jobs("plan", "./b").refused()


def test_which_words_are_a_batch(jobs: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(jobs.folder)
    (jobs.folder / "folder").mkdir()
    (jobs.folder / "a").write_text("x")
    assert {word: is_batch(word, "") for word in ("jobs.json", "in", "./a", "not-there.yaml", "/dev/null")} == {
        "jobs.json": True, "in": True, "./a": True, "not-there.yaml": True, "/dev/null": True,
    }  # fmt: skip
    others = ("a", "a:1", "a:x.json", "*.json", "folder", "nope", "chunk:0", "file:///out/a/x.csv")
    assert not any(is_batch(word, "") for word in others)
    assert is_batch("a", "jobs.json")
    jobs.batchfile("[batch\n")  # which cannot be read, and so has no names
    assert is_batch("a", "")


def test_what_is_missing(jobs: Box) -> None:
    for words in (["run"], ["plan"], ["summarize-batch"], []):
        assert "nope.json: no such file" in jobs(*words, "nope.json").refused()
    assert (
        "no run or stage is named `x`" in jobs("summarize-batch", "jobs.json", "--to", "out", "x").refused()
    )


def test_hints_of_a_submission_name_the_outputs_too(jobs: Box) -> None:
    jobs.batchfile(HEAD + '[runs.a]\ncmd = "true"\n[local]\n')
    done = jobs("submit", "--to", "there", "--wait")
    assert done.code == 0
    said = jobs("submit", "jobs.json", "--engine", "local", "--to", "there").out
    where = f"-f {jobs.folder}/jobs.json --to file://{jobs.folder}/there"
    assert f"pydoit-sc summarize-batch {where}\n" in said
    assert f"pydoit-sc submissions {where}\n" in said


def test_a_local_path_of_an_output_is_no_list(jobs: Box) -> None:
    jobs.ok()
    jobs.executed()
    jobs.write("doit.cfg", DOIT_CFG)
    absolute = str(jobs.folder / "out/a/1/status_code")
    for path in (
        "out/a/1/status_code",
        "./out/a/1",
        "out/a/1/",
        "out/../out/a/1",
        absolute,
        f"file://{absolute}",
    ):
        assert jobs.ok("plan", path) == "the run is up to date\n"
    for program in ("pydoit-sc", "doit"):
        jobs.ok("-a", "out/a/2/status_code", program=program)
        assert jobs.executed() == ["a:2"]
    assert "no run, stage or command is named `out/a/1/stdout`" in jobs("run", "out/a/1/stdout").refused()
    elsewhere = jobs.folder.parent
    words = ("-f", f"{jobs.folder.name}/batchfile.toml", f"{jobs.folder.name}/out/a/3/status_code")
    jobs.ok("run", "-a", *words, cwd=elsewhere)
    assert jobs.executed() == ["a:3"]


def test_a_list_where_outputs_go_is_one(jobs: Box) -> None:
    jobs.write("lists/cmds.txt", "echo y >> log\n")
    jobs.ok("run", "lists/cmds.txt", "--to", "lists")
    jobs.ok("run", "lists/cmds.txt", "--to", ".")
    assert jobs.executed() == ["y", "y"]
    assert "nothing to execute" not in jobs.ok("plan", "lists/cmds.txt", "--to", ".")


def test_a_list_among_other_outputs_is_one(jobs: Box) -> None:
    jobs.write("out/a/1/cmds.txt", "echo x >> log\n")
    jobs.ok("run", "out/a/1/cmds.txt", "--to", "there")
    assert jobs.executed() == ["x"]
    jobs.edit("file://out", "file://$PLACE")
    jobs.ok("run", "a:1", PLACE="here")
    assert jobs.ok("plan", "here/a/1/status_code", PLACE="here") == "the run is up to date\n"
    jobs.write("j.json", json.dumps({"remote_output_path": "listed", "runs": [{"cmd": "true"}]}))
    jobs.ok("run", "j.json")
    assert jobs.ok("plan", "-f", "j.json", "listed/0/status_code") == "the run is up to date\n"
    assert jobs.ok("plan", "j.json", "listed/0/status_code") == "the run is up to date\n"
