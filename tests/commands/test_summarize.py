"""`summarize-batch` and `logs`: outcomes, read from the store."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import time
from datetime import datetime

import pytest
from doit.exceptions import InvalidCommand

from pydoit_sc.commands.summarize import COLUMNS, SummarizeBatchCommand
from pydoit_sc.store import Live, open_store
from pydoit_sc.store.documents import Provenance
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
    assert list(as_json[0]) == list(COLUMNS)
    assert as_json[1]["host"] == os.uname().nodename
    assert 0 <= as_json[1]["seconds"] < 60
    ended = datetime.strptime(as_json[1]["finished"], "%Y-%m-%dT%H:%M:%S%z")
    assert 0 <= time.time() - ended.timestamp() < 600
    assert as_json[0]["status_code"] == 7
    assert as_json[2]["status_code"] is None
    for one, other in zip(as_json, as_csv, strict=True):
        assert {k: "" if v is None else str(v) for k, v in one.items()} == other


def rows(box: Box, capsys: pytest.CaptureFixture[str], *words: str, form: str = "json", **how: str) -> str:
    """Show rows, in this process, and return them."""
    given = [f"--{name}={value}" for name, value in {"format": form, **how}.items()]
    batchfile = str(box.folder / "batchfile.toml")
    assert SummarizeBatchCommand(config={}).parse_execute([batchfile, *given, *words]) == 0
    return capsys.readouterr().out


@pytest.fixture
def three(box: Box) -> Box:
    """Four runs: one took a second, one an hour, one does not say, one has no outcome."""
    box.batchfile(HEAD + '[runs.a]\ncmd = "true {x}"\nmatrix = { x = [1, 2, 3, 4] }\n')
    for name, seconds, memory in (("1", 3600.5, 2_500_000_000), ("2", 1.25, None), ("3", None, None)):
        box.write(f"out/a/{name}/status_code", "0")
        if seconds is not None:
            known = Provenance(
                fingerprint="", attempt="w-1", status_code=0, cmd="", host="node3", rank=0, started=1795593114.76,
                finished=1795593114.76 + seconds, cpu_seconds=0.0, peak_memory=memory, submission="s1",
            )  # fmt: skip
            box.write(f"out/a/{name}/run.json", known.to_json())
    return box


@pytest.mark.parametrize(
    ("sort", "names"),
    [("seconds", "2134"), ("-seconds", "1234"), ("-name", "4321"), ("host,-name", None), ("memory", "1234")],
)
def test_sorted_by_a_column_what_has_none_last(
    three: Box, capsys: pytest.CaptureFixture[str], sort: str, names: str | None
) -> None:
    if names is None:
        with pytest.raises(InvalidCommand, match=r"--sort: unknown column `-name`; did you mean `name`\?"):
            rows(three, capsys, sort=sort)
        return
    found = json.loads(rows(three, capsys, columns="name", sort=sort))
    assert found == [{"name": f"a:{name}"} for name in names]


def test_the_first_are_those_that_are_first_when_sorted(
    three: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(rows(three, capsys, columns="name", sort="-name", limit="2"))
    assert found == [{"name": "a:4"}, {"name": "a:3"}]


def test_columns(three: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    columns = "name, seconds,memory,host,submission,finished"
    assert rows(three, capsys, form="csv", columns=columns, sort="name").splitlines() == [
        "name,seconds,memory,host,submission,finished",
        "a:1,3600.5,2500000000,node3,s1,2026-11-25T08:51:55Z",
        "a:2,1.25,,node3,s1,2026-11-25T07:51:56Z",
        "a:3,,,,,",
        "a:4,,,,,",
    ]
    shown = rows(three, capsys, form="table", columns=columns, sort="-seconds").splitlines()
    assert shown[2].split() == ["a:1", "1:00:00", "2.5", "GB", "node3", "s1", "2026-11-25", "08:51:55"]
    assert shown[3].split()[:3] == ["a:2", "1.25", "s"]
    with pytest.raises(InvalidCommand, match="unknown column `secnds`; did you mean `seconds`"):
        rows(three, capsys, columns="name,secnds")


def test_a_run_that_executes_again_has_nothing_of_its_last_end(
    three: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    three.write("out/a/1/status_code", "7")
    store = open_store(str(three.folder / "out"), {}, durable=False)
    with store.workspace("worker", None):
        store.announce("worker", {"a/1": Live(host="node9", folder="/f", since=1795593114.76)})
        found = json.loads(rows(three, capsys, sort="name"))[0]
    assert {key: found[key] for key in ("status", "host", "started", "seconds", "finished")} == {
        "status": "running", "host": "node9", "started": "2026-11-25T07:51:54Z", "seconds": None, "finished": None,
    }  # fmt: skip
    assert re.fullmatch(r"on node9 since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", found["reason"])


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


def test_orphans_are_no_runs_but_count_as_rows(mixed: Box) -> None:
    mixed.write("out/a/5/status_code", "0")
    mixed.write("out/a/6/status_code", "0")

    def outputs(*words: str) -> list[str]:
        rows = json.loads(mixed("summarize-batch", "--json", *words).out)
        return [row["remote_output_path"].rpartition("/")[2] for row in rows]

    assert outputs("--status", "orphaned", "--limit", "2") == ["3", "5"]
    assert outputs("--status", "orphaned", "--limit", "1", "--sort", "-name") == ["3"]
    assert outputs("--status", "orphaned,error", "--limit", "2") == ["2", "3"]
    for words in (
        ("a:2",),
        ("--code", "1"),
        ("--where", "x=1"),
        ("--since", "1h"),
        ("--slowest", "1"),
        ("--like", "a:2"),
    ):
        said = mixed("summarize-batch", "--status", "orphaned", *words).refused()
        assert "expected other statuses and --limit alone" in said


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
    cmds = ["=1+1", "+x", "-1 # é日", "@a", "'=", "\n=", "echo \x1b]52;c;x"]
    box.write("jobs.json", json.dumps({"remote_output_path": "out", "runs": [{"cmd": cmd} for cmd in cmds]}))
    done = box("summarize-batch", "--format", "csv", "jobs.json", PYTHONIOENCODING="ascii")
    rows = list(csv.DictReader(io.StringIO(done.out, newline="")))
    assert [row["cmd"] for row in rows] == ["'=1+1", "'+x", "'-1 # é日", "'@a", *cmds[4:]]


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
