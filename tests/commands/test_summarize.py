"""`summarize-batch` and `logs`: outcomes, read from the store."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.conftest import HEAD, Box


@pytest.fixture
def mixed(failing: Box) -> Box:
    """A batch with a run of each status: completed, error, stale, incomplete, and an orphan."""
    failing()
    failing.edit("[1, 2, 3]", "[1, 2, 4, \"$(echo 'x y')\"]")
    failing.edit(
        'cmd = "echo a:{x}',
        'name = "{x}"\nexclude_ = 1\ncmd = "echo a:{x}',
    )
    failing.edit("exclude_ = 1\n", "")
    failing.edit("\"$(echo 'x y')\"", '"x y"')
    return failing


def test_table_is_the_seeds(mixed: Box) -> None:
    done = mixed("summarize-batch")
    assert (done.code, done.err) == (0, "1 error, 1 completed, 2 incomplete\n")
    lines = [line.rstrip() for line in done.out.splitlines()]
    assert lines[0].split() == ["status", "status_code", "remote_output_path", "cmd"]
    assert set(lines[1]) == {"-"}
    assert [line.split()[0] for line in lines[2:]] == ["error", "completed", "incomplete", "incomplete"]
    assert lines[2].split()[:3] == ["error", "7", f"file://{mixed.folder}/out/a/2"]
    assert len({line.index("echo a:") for line in lines[2:]}) == 1


def test_json_and_csv_say_the_same(mixed: Box) -> None:
    as_json = json.loads(mixed("summarize-batch", "--format", "json").out)
    as_csv = list(csv.DictReader(io.StringIO(mixed("summarize-batch", "--format", "csv").out)))
    assert [row["name"] for row in as_json] == ["a:2", "a:1", "a:4", "a:x y"]
    assert list(as_json[0]) == ["status", "status_code", "remote_output_path", "cmd", "name", "reason"]
    assert as_json[0]["status_code"] == 7
    assert as_json[2]["status_code"] is None
    for one, other in zip(as_json, as_csv, strict=True):
        assert {k: "" if v is None else str(v) for k, v in one.items()} == other


def test_filters(mixed: Box) -> None:
    for statuses, names in {
        "error": ["a:2"],
        "incomplete,error": ["a:2", "a:4", "a:x y"],
        "stale, running": [],
        "orphaned": [""],
    }.items():
        rows = json.loads(mixed("summarize-batch", "--format", "json", "--status", statuses).out)
        assert [row["name"] for row in rows] == names
    assert rows[0]["remote_output_path"] == f"file://{mixed.folder}/out/a/3"


def test_stale(stages: Box) -> None:
    stages.ok()
    stages.write("in", "2")
    rows = json.loads(stages("summarize-batch", "--format", "json", "--status", "stale").out)
    assert {row["name"]: row["reason"] for row in rows} == {
        f"a:{x}": "a file_dep has changed" for x in (1, 2, 3)
    }


def test_a_command_of_several_lines_is_one_row(box: Box) -> None:
    box.batchfile(HEAD + "[runs.a]\ncmd = '''echo 1\necho \x1b[31m2'''\n".replace("\x1b", "é"))
    assert len(box("summarize-batch").out.splitlines()) == 3


def test_a_cell_of_csv_is_no_formula(box: Box) -> None:
    cmds = ["=1+1", "+1", "-1 # é日", "@a", "'=", "\n=", "echo \x1b]52;c;x"]
    box.write("jobs.json", json.dumps({"remote_output_path": "out", "runs": [{"cmd": cmd} for cmd in cmds]}))
    done = box("summarize-batch", "--format", "csv", "jobs.json", PYTHONIOENCODING="ascii")
    rows = list(csv.DictReader(io.StringIO(done.out, newline="")))
    assert [row["cmd"] for row in rows] == ["'=1+1", "'+1", "'-1 # é日", "'@a", *cmds[4:]]


@pytest.mark.slow
def test_long_commands_cost_no_padding(box: Box) -> None:
    cmds = ["true"] * 5000 + [f"echo {'x' * 120_000}"]
    box.write("jobs.json", json.dumps({"remote_output_path": "out", "runs": [{"cmd": cmd} for cmd in cmds]}))
    done = box("summarize-batch", "jobs.json")
    assert len(done.out) < 1_000_000
    assert f"echo {'x' * 494}…" in done.out
    assert len(json.loads(box("summarize-batch", "jobs.json", "--format", "json").out)[-1]["cmd"]) == 120_005


RUNS = [{"cmd": "echo 1"}, {"cmd": "echo 2; exit 3"}]


YAML = "nprocs: 2\nremote_output_path: {out}\nruns:\n- cmd: echo 1\n- cmd: echo 2; exit 3\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_seeds_run_lists_are_taken_everywhere(box: Box, form: str) -> None:
    out = f"file://{box.folder}/out"
    text = YAML.format(out=out)
    if form == "json":
        text = json.dumps({"nprocs": 2, "remote_output_path": out, "runs": RUNS})
    name = f"jobs.{form}"
    box.write(name, text)
    assert box.ok("plan", "-f", name).startswith("2 of 2 runs to execute")
    done = box("-f", name)
    assert (done.code, done.err) == (1, "")
    assert "failed runs:1: status code 3" in done.out
    assert box.out("0/stdout") == "1\n"
    assert "U runs:0" in box.ok("list", "-f", name, "--all", "--status")
    assert "error: status code 3" in box("info", "-f", name, "runs:1").out
    assert box("summarize-batch", name).err == "1 error, 1 completed\n"
    assert box("summarize-batch", name, "--remote-output-path", "elsewhere").err == "2 incomplete\n"
    there = f"file://{box.folder}/out"
    assert box("summarize-batch", "--remote-output-path", there, name).err == "1 error, 1 completed\n"
    assert box.ok("logs", "-f", name, "runs:1") == "2\n"
    box.ok("forget", "-f", name, "runs:0")
    batch = box("batch", name)
    assert (batch.code, batch.err) == (0, "")
    assert batch.out.startswith("2 of 2 runs to execute\n")
    assert box("batch", "--strict", name).code == 1
    box.ok("clean", "--clean-all", "-f", name)
    assert box.tree() == []


def test_a_default_batchfile_may_be_a_run_list(box: Box) -> None:
    box.write("batchfile.yaml", YAML.format(out="out"))
    assert "1 completed, 1 failed" in box().out
