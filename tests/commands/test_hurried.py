"""A user in a hurry: whatever is wrong is named, nothing is started, and there is never a traceback."""

from __future__ import annotations

import json
import os

import pytest

from tests.conftest import HEAD, STAGES, Box


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "batchfile.toml: empty file"),
        ("[batch\n", "batchfile.toml:1:7: not TOML"),
        ("[batch]\n[runs.a]\ncmd = 'x'\n", "remote_output_path"),
        (STAGES.replace("[batch]", "[bach]"), "did you mean `batch`?"),
        (STAGES.replace("file_dep", "file_depp"), "did you mean `file_dep`?"),
        (STAGES.replace('["a"]', '["aa"]'), "did you mean `a`?"),
        (STAGES.replace("nprocs = 2", "nprocs = 0"), "nprocs"),
        (STAGES.replace("{x}", "{y}"), "unknown placeholder `{y}`"),
        (HEAD, "no runs"),
    ],
)
def test_a_bad_batchfile(stages: Box, text: str, answer: str) -> None:
    stages.batchfile(text)
    assert answer in stages(program="doit").refused()
    assert sorted(path.name for path in stages.folder.iterdir()) == ["batchfile.toml", "doit.cfg", "in"]


@pytest.mark.parametrize("command", ["plan", "status", "list", "summarize-batch", "clean", "logs"])
def test_a_bad_batchfile_for_every_command(stages: Box, command: str) -> None:
    stages.edit("file_dep", "file_depp")
    assert (
        "batchfile.toml:8:1:" in stages(command, *(["a:1"] if command in ("logs", "clean") else [])).refused()
    )


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["-f", "bathfile.toml"], "bathfile.toml: no such file"),
        (["-f", "/proc"], "/proc: there is no batchfile.toml in this folder"),
        (["-f"], "option -f requires argument"),
        (["plan", "-f", "in"], "in:"),
        (["-n", "0"], "-n: expected a number from 1 to 10,000, found `0`"),
        (["-n", "-1"], "found `-1`"),
        (["-n", "abc"], "found `abc`"),
        (["-n", "1000000000"], "-n: expected a number from 1 to 10,000, found `1000000000`"),
        (["-n", "9" * 5000], "-n: expected a number from 1 to 10,000, found `999"),
        (["--retries", "9" * 5000], "--retries: expected an integer of at least 0, found `999"),
        (["--timeout", "9" * 5000], "--timeout: expected a duration"),
        (["submit", "-n", "9" * 5000], "--nprocs: expected an integer from 1 to 10,000"),
        (["reproduce", "a:1", "--attempt", "9" * 5000], "--attempt: expected a number of at least 1"),
        (["debug", "a:1", "--rank", "9" * 5000], "--rank: expected a number of at least 0"),
        (["scale", "9" * 5000], "scale: expected a number from 1 to 10,000"),
        (["clean", "--status", ","], "--status: expected a value, found an empty one"),
        (["clean", "--code="], "--code: expected a value, found an empty one"),
        (["-n", "2.5"], "found `2.5`"),
        (["--xyzzy"], "option --xyzzy not recognized; see `pydoit-sc help run`"),
        (["--contineu"], "did you mean `--continue`?"),
        (["info", "--json", "a:1"], "option --json not recognized; see `pydoit-sc help info`"),
        (["scale"], "expected how many runs at once, found nothing"),
        (["a:1", "-Z"], "option -Z not recognized"),
        (["plan", "--al1"], "did you mean `--all`?"),
        (["-r", "jsn"], "available choices are: 'console'"),
        (["-o", "no/such/folder"], "-o/--output-file:"),
        (["-o", "."], "Is a directory"),
        (["info"], "info"),
        (["info", "a:1", "b"], "info"),
        (["logs"], "logs: expected the name of a run; see `pydoit-sc help logs`"),
        (["logs", "a:1", "b"], "`a:1` and 1 more have no output in "),
        (["batch"], "batch: expected a chunk"),
        (["batch", "nope.json"], "nope.json: no such file"),
        (["batch", "batchfile.toml"], "`pydoit-sc run` executes it"),
        (["batch", "-n", "0", "batchfile.toml"], "found `0`"),
        (["status", "--format", "table", "--json"], "expected one format, found --json and --format table"),
        (["summarize-batch", "--watch", "--columns", "name"], "--columns: it means nothing beside --watch"),
        (["summarize-batch", "--watch", "--sort", "name"], "--sort: it means nothing beside --watch"),
        (["results", "--format", "csv", "--to", "x.jsonl"], "--format: it means nothing beside --to x.jsonl"),
        (["results", "--json", "--to", "x.csv"], "--json: it means nothing beside --to x.csv"),
        (["results", "--format", "table", "--to", "x.csv"], "--format: it means nothing beside --to x.csv"),
        (
            ["get", "job", "j", "-o", "table", "--json"],
            "expected one format, found --json and --output table",
        ),
        (["job-logs", "j", "m", "--all"], "expected one MACHINE or --all, found `m` and --all"),
        (["clone", "workspace", "w", "job", "j", "--ide", "x"], "--ide: it means nothing beside a new job"),
        (
            ["clone", "workspace", "w", "jobs", "j", "--disk-space", "10Gi"],
            "--disk-space: it means nothing beside a new job",
        ),
        (
            ["clone", "job", "w", "workspace", "j", "--command", "x"],
            "--command: it means nothing beside a new workspace",
        ),
        (["status", "--format", "xml"], "expected one of table, json, found `xml`"),
        (["status", "a:9"], "no run or stage is named `a:9`"),
        (["summarize-batch", "nope.yaml"], "nope.yaml: no such file"),
        (["summarize-batch", "a", "c"], "no run or stage is named `c`"),
        (["summarize-batch", "--format", "xml"], "expected one of table, json, csv, found `xml`"),
        (["summarize-batch", "--status", "eror"], "did you mean `error`?"),
        (["summarize-batch", "--remote-output-path", "nope://x"], "nope"),
        (["help", "sumarize"], "did you mean `summarize-batch`?"),
        (["help", "run", "plan"], "help: expected one command, found run plan"),
        (["init", "x", "y"], "init: expected one FOLDER at most"),
        (["forget"], "name the runs or stages, or --all"),
        (["ignore"], "ignore: name the runs or stages"),
        ([""], "an empty word on the command line"),
        (
            ["plan", "--status", "error", "--status", "incomplete"],
            "--status: given twice; see `pydoit-sc help plan`",
        ),
        (["--code", "0", "a", "--code=1"], "--code: given twice"),
        (["--to", "a", "--to", "b"], "--to: given twice"),
        (["--to", "a", "plan", "--remote-output-path", "b"], "--to: given twice"),
        (["report", "--to", "a.html", "--to", "b.html"], "--to: given twice"),
        (["-f", "a", "-f", "b"], "-f: given twice"),
        (["-f", "a", "plan", "--file", "b"], "--file: given twice"),
        (["-n", "1", "--process", "1"], "--process: given twice"),
        (["list", "--status", "--status", "error", "--status", "stale"], "--status: given twice"),
        (["get", "job", "x", "-o", "json", "-o", "json"], "-o: given twice"),
        (["plan", "-f", "batchfile.toml", "in"], "expected one batch, found `in` and -f"),
        (["split", "-f", "batchfile.toml", "in", "in"], "expected one batch, found `in` and -f"),
        (
            ["split", "--engine", "kubernetes", "-f", "batchfile.toml", "in"],
            "expected one batch, found `in` and -f",
        ),
    ],
)
def test_bad_words(stages: Box, words: list[str], answer: str) -> None:
    done = stages(*words)
    message = done.refused()
    assert answer in message
    assert message.startswith("ERROR: ")
    assert len(message) < 400
    assert done.out == ""
    assert not (stages.folder / "out").exists()


def test_an_option_replaces_a_default_and_no_other_option(stages: Box) -> None:
    defaults = "remote_output_path = nowhere\nnum_process = 3\nstatuses = error\nwhere = x=1,x=3\n"
    stages.write("doit.cfg", f"[GLOBAL]\nloader = batchfile\n{defaults}")
    words = ("--to", "there", "-n", "1", "--status", "incomplete", "--where", "x<4", "--where", "x>0")
    for before, behind in (
        (["-f", "batchfile.toml"], []),
        ([], ["-f", "batchfile.toml"]),
        ([], ["batchfile.toml"]),
    ):
        planned = stages.ok(*before, "plan", *words[:2], *words[4:], *behind, PYDOIT_SC_FILE="nowhere.toml")
        assert "no run matches --status incomplete --where x=1 --where x=3" in planned
    stages.write("doit.cfg", f"[GLOBAL]\nloader = batchfile\n{defaults.partition('where =')[0]}")
    stages.ok("-c", "-c", *words, "-f", "batchfile.toml", PYDOIT_SC_FILE="nowhere.toml")
    assert stages.executed() == ["a:1", "a:2", "a:3"]
    assert (stages.folder / "there/a/2/status_code").exists()


def test_no_batchfile_here(box: Box) -> None:
    for words in ([], ["plan"], ["list"]):
        message = box(*words).refused()
        assert message.startswith("ERROR: there is no batchfile.toml in this folder; -f FILE")
        assert "`pydoit-sc init`" in message
    assert list(box.folder.iterdir()) == []


def test_bad_configuration(stages: Box) -> None:
    stages.write("doit.cfg", "[GLOBAL]\nverbosity = abc\n")
    assert "verbosity" in stages().refused()


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("doit.cfg", b"garbage\n", "doit.cfg: not a configuration of doit: File contains no section headers."),
        ("doit.cfg", b"[GLOBAL]\n[GLOBAL]\n", "section 'GLOBAL' already exists"),
        ("doit.cfg", b"\xff", "doit.cfg: not a configuration of doit: 'utf-8' codec can't decode byte 0xff"),
        ("pyproject.toml", b"[tool.doit\n", "pyproject.toml: not a configuration of doit: Expected ']'"),
        ("pyproject.toml", b"tool = 3\n", "pyproject.toml: not a configuration of doit: "),
        ("pyproject.toml", b"[tool.doit]\nplugins = { x = 1 }\n", "pyproject.toml: not a configuration of doit: "),
        ("pyproject.toml", b"[tool.doit]\ncommands = { run = 3 }\n", "pyproject.toml: not a configuration of doit: "),
    ],
)  # fmt: skip
def test_configuration_that_doit_cannot_read(stages: Box, name: str, text: bytes, answer: str) -> None:
    stages.write(name, text)
    message = stages("plan").refused()
    assert message.startswith("ERROR: ")
    assert answer in message
    assert message.count("\n") <= 1


def test_a_missing_file_dep_is_what_could_not_be_executed(stages: Box) -> None:
    (stages.folder / "in").unlink()
    done = stages()
    assert (done.code, done.err) == (2, "")
    why = f"file_dep `in` matches no file in {stages.folder}"
    assert "\n4 not executed, in 0:0" in done.out
    assert done.out.splitlines()[2:] == [
        f"3 runs were not started: {why} (a:1; alike: a:2, a:3)",
        "1 incomplete: waits for a:1 (not started)",
    ]
    assert stages.executed() == []
    assert f"1 run was not started: {why} (a:1)\n" in stages("a:1").out
    assert stages("-r", "console").code == 2
    assert "incomplete: file_dep `in` matches no file" in stages.ok("plan", "a:1")
    stages.write("in", "")
    stages.ok()
    (stages.folder / "in").unlink()
    assert "stale: file_dep `in` matches no file" in stages.ok("plan", "a:1")


def test_many_missing_file_deps_are_told_together_and_are_no_failures(box: Box) -> None:
    hook = """on_finish = 'echo "$PYDOIT_SC_FAILED $PYDOIT_SC_NOT_EXECUTED" > told'\n"""
    stage = '[runs.a]\ncmd = "true"\nfile_dep = ["{x}.csv"]\nmatrix = { x = { range = [0, 500] } }\n'
    box.batchfile(HEAD + hook + stage)
    box.write("7.csv", "")
    done = box("--json")
    figures = json.loads(done.out)
    why = f"499 runs were not started: file_dep `0.csv` matches no file in {box.folder} (a:0; alike: a:1, a:2 and 496 more)"
    assert (done.code, figures.pop("why")) == (2, [why])
    assert figures | {"seconds": 0} == {
        "completed": 1,
        "failed": 0,
        "skipped": 0,
        "not_executed": 499,
        "seconds": 0,
    }
    assert done.err.splitlines()[1:] == ["1 completed, 499 not executed, in 0:00", why]
    assert (box.folder / "told").read_text() == "0 499\n"


@pytest.mark.parametrize("more", [[], ["b"], ["--always"]])
def test_a_missing_file_dep_of_a_submission(stages: Box, more: list[str]) -> None:
    (stages.folder / "in").unlink()
    said = f"ERROR: a:1: file_dep `in` matches no file in {stages.folder}\n"
    assert stages("submit", "--engine", "local", *more).refused() == said
    assert stages("run", "split").refused() == said
    stages.write("jobs.json", '{"remote_output_path": "out", "runs": [{"cmd": "true", "file_dep": ["in"]}]}')
    assert stages("batch", "jobs.json").refused() == said.replace("a:1", "runs:0")


@pytest.mark.parametrize("command", ["run", "plan", "status", "failures", "verify", "results", "report"])
@pytest.mark.parametrize(
    ("path", "why"), [("in", "is a file, expected a folder for outputs"), ("in/side", "Not a directory")]
)
def test_a_file_in_the_place_of_the_outputs(stages: Box, path: str, why: str, command: str) -> None:
    stages.edit("file://out", f"file://{path}")
    done = stages(command)
    assert (done.code, done.out, done.err) == (3, "", f"ERROR: {stages.folder}/{path}: {why}\n")
    assert stages.executed() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user whom chmod does not bind, or chattr")
def test_a_status_code_that_is_a_folder(stages: Box) -> None:
    (stages.folder / "out/a/1/status_code").mkdir(parents=True)
    done = stages()
    assert done.code == 2
    assert "not started: its outcome cannot be read: status_code: Is a directory (a:1)" in done.out
    assert stages.executed() == ["a:2", "a:3"]


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_our_files_in_a_project_may_be_anything(stages: Box, kind: str) -> None:
    """A pipe that nobody writes to held commands up for ever; what `ignore` has said is not forgotten without a word."""
    make = {"pipe": os.mkfifo, "folder": os.mkdir}[kind]
    make(stages.folder / ".pydoit_sc.digests.json")
    stages.ok()
    for name, readers in ((".pydoit_sc.json", ""), (".pydoit_sc.ignored.json", "plan")):
        made = stages.folder / name
        make(made)
        for words in filter(None, (readers, "run", "ignore a:1")):
            done = stages.shell(f"timeout 30 pydoit-sc {words}")
            assert (done.code, "Traceback" in done.err) == (3, False)
            assert f"{name}: not a regular file\n" in done.err
        made.rename(f"{made}.away")
