"""A good batchfile or run list becomes the batch it describes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch, Share
from pydoit_sc.batchfile import load
from pydoit_sc.engines.slurm import SlurmTable

Make = Callable[..., Batch]

FULL = """
[batch]
name = "weather"
remote_output_path = "file://output/"
nprocs = 4
scale = 2
batch_size = 12
env = { OMP_NUM_THREADS = "1", TZ = "CET" }
timeout = "2h"
grace = 5
retries = 1
max_failures = "5 %"
scratch = "/local/disk"
durable = false
storage_options = { anon = true }

[runs.month]
cmd = "python summarize.py --start {month.start} --end {month.last} {model}"
name = "{month.start:%Y-%m}/{model}"
file_dep = ["summarize.py", "data/*.csv"]
timeout = "10m"
retries = 2
retry_on = [75, 137]
env = { TZ = "UTC" }

[runs.month.matrix]
month = { from = 2012-01-01, to = 2012-02-28, every = "1 month" }
model = ["a", "it's"]

[runs.plot]
cmd = "awk '{print $1}' {month}"
after = ["month"]

[slurm]
partition = "long"
"""


def test_every_key_of_a_batchfile(make: Make, tmp_path: Path) -> None:
    batch = make(FULL)
    assert (batch.name, batch.path) == ("weather", tmp_path / "batchfile.toml")
    assert batch.remote_output_path == f"file://{tmp_path}/output"
    assert (batch.nprocs, batch.scale, batch.batch_size) == (4, 2, 12)
    assert (batch.max_failures, batch.scratch, batch.durable) == (Share(0.05), "/local/disk", False)
    assert batch.storage_options == {"anon": True}
    assert batch.tables == {"slurm": SlurmTable(partition="long")}
    month, plot = batch.stages
    assert (month.name, month.after, month.single, month.named) == ("month", (), False, True)
    assert [(run.name, run.key) for run in month.runs][:2] == [
        ("2012-01/a", "month/2012-01/a"),
        ("2012-01/it's", "month/2012-01/it's"),
    ]
    assert month.runs[1].cmd == ("python summarize.py --start 2012-01-01 --end 2012-01-31 " + "'it'\"'\"'s'")
    settings = month.runs[0].settings
    assert settings.env == {"OMP_NUM_THREADS": "1", "TZ": "UTC"}
    assert (settings.timeout, settings.grace, settings.retries) == (600.0, 5.0, 2)
    assert settings.retry_on == frozenset({75, 137})
    assert settings.file_dep == ("summarize.py", "data/*.csv")
    assert all(run.settings is settings for run in month.runs)
    assert (plot.name, plot.after, plot.single) == ("plot", ("month",), True)
    (run,) = plot.runs
    assert (run.name, run.key, run.cmd) == ("plot", "plot", "awk '{print $1}' {month}")
    assert (run.settings.timeout, run.settings.retries, run.settings.file_dep) == (7200.0, 1, ())


def test_defaults(make: Make, tmp_path: Path) -> None:
    batch = make('[batch]\nremote_output_path = "s3://bucket/x/"\n[runs.a]\ncmd = "true"\n')
    assert batch.name == tmp_path.name
    assert (batch.remote_output_path, batch.nprocs, batch.durable) == ("s3://bucket/x", None, True)
    assert (batch.scale, batch.batch_size, batch.max_failures, batch.scratch) == (None, None, None, None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("output", "file://{folder}/output"),
        ("./a/../output//", "file://{folder}/output"),
        ("/abs/output/", "file:///abs/output"),
        ("//abs/output/", "file:///abs/output"),
        ("file:///abs/output/", "file:///abs/output"),
        ("file:/abs/output", "file:///abs/output"),
        ("file://output", "file://{folder}/output"),
        ("local://output", "file://{folder}/output"),
        ("s3://b/a/../c/", "s3://b/a/../c"),
        ("sfs://internal/hugo/x", "sfs://internal/hugo/x"),
        ("memory://x/", "memory://x"),
    ],
)
def test_where_outputs_go(make: Make, tmp_path: Path, written: str, expected: str) -> None:
    batch = make(f'[batch]\nremote_output_path = "{written}"\n[runs.a]\ncmd = "true"\n')
    assert batch.remote_output_path == expected.format(folder=tmp_path)


def test_the_command_line_counts_from_the_current_folder(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = '[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "true"\n'
    assert make(text, remote_output_path="mine").remote_output_path == f"file://{tmp_path}/here/mine"
    assert make('[[runs]]\ncmd = "true"\n', remote_output_path="s3://b/c/").remote_output_path == "s3://b/c"


def test_a_list_of_runs(make: Make) -> None:
    text = """
[batch]
remote_output_path = "out"
env = { A = "1" }
[[runs]]
cmd = "echo {x}"
[[runs]]
cmd = "b"
name = "x/y"
env = { B = "2" }
[[runs]]
cmd = "c"
name = "z"
env = { B = "2" }
"""
    (stage,) = make(text).stages
    assert (stage.name, stage.named, stage.single) == ("runs", False, False)
    assert [(run.name, run.key, run.cmd) for run in stage.runs] == [
        ("0", "0", "echo {x}"),
        ("x/y", "x/y", "b"),
        ("z", "z", "c"),
    ]
    assert stage.runs[1].settings.env == {"A": "1", "B": "2"}
    assert stage.runs[1].settings is stage.runs[2].settings
    assert make(text.replace('cmd = "echo {x}"', 'cmd = "e"\nname = "first"')).stages[0].named


RUNS = [{"cmd": "echo 1", "name": "a"}, {"cmd": 'echo "2, 3"', "name": "b", "retries": 2, "timeout": "1m"}]


def run_list(extension: str) -> str:
    if extension in ("jsonl", "ndjson"):
        return "\n".join(json.dumps(run) for run in RUNS) + "\n\n"
    if extension == "csv":
        return 'name,cmd,retries,timeout\n\na,echo 1,,\nb,"echo ""2, 3""",2,1m\n'
    if extension in ("yaml", "yml"):
        return 'runs:\n- {cmd: echo 1, name: a}\n- cmd: echo "2, 3"\n  name: b\n  retries: 2\n  timeout: 1m\n'
    return json.dumps({"runs": RUNS, "remote_output_path": "ignored", "pydoit_sc": {}, "mine": 1})


@pytest.mark.parametrize("extension", ["json", "jsonl", "ndjson", "csv", "yaml", "yml", "JSON", "txt"])
def test_runs_from_every_format(make: Make, tmp_path: Path, extension: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / f"sub/jobs.{extension}").write_text(run_list(extension))
    batch = make(f'[batch]\nremote_output_path = "out"\ngrace = 3\nruns_from = "sub/jobs.{extension}"\n')
    first, second = batch.stages[0].runs
    assert (first.name, first.cmd, first.settings.grace) == ("a", "echo 1", 3)
    assert (second.name, second.cmd) == (
        "b",
        'echo "2, 3"',
    )
    assert (second.settings.retries, second.settings.timeout) == (2, 60.0)


@pytest.mark.parametrize("extension", ["json", "jsonl", "csv", "yaml", "toml"])
def test_the_format_is_told_by_the_content(make: Make, extension: str) -> None:
    text = FULL if extension == "toml" else "# a comment\n" * (extension == "yaml") + run_list(extension)
    assert make(text, "jobs", remote_output_path="/out").stages[0].runs


def test_the_seeds_yaml(make: Make, tmp_path: Path) -> None:
    text = "nprocs: 8\nremote_output_path: out\nruns:\n- cmd: echo 1\n- cmd: echo 2\n  status_code: null\n"
    batch = make(text, "jobs.yaml")
    assert (batch.nprocs, batch.remote_output_path) == (8, f"file://{tmp_path}/out")
    assert [run.key for run in batch.stages[0].runs] == ["0", "1"]
    assert not batch.stages[0].named


def test_a_chunk_of_sc(make: Make) -> None:
    run = {"cmd": "echo", "local_results_dir": "/tmp/1e/", "status_code": None, "status": None}
    places = ["file:///home/run-output/0", "/home/run-output/a/b/", "file:///home/x/../run-output/c"]
    runs = [{"remote_output_path": place, **run} for place in places]
    chunk = {"runs": runs, "remote_output_path": "file:///home/run-output/", "nprocs": 8}
    (stage,) = make(json.dumps(chunk), "0.json").stages
    assert [(run.name, run.key) for run in stage.runs] == [("0", "0"), ("a/b", "a/b"), ("c", "c")]
    assert stage.named
    assert stage.runs[0].local_results_dir == "/tmp/1e/"


def test_nothing_given_is_left_out(make: Make) -> None:
    text = '{"runs": [{"cmd": "a", "name": null, "timeout": null, "env": null}], "remote_output_path": "/o"}'
    (run,) = make(text, "jobs.json").stages[0].runs
    assert (run.name, run.settings.timeout, run.settings.env) == ("0", None, {})


def test_a_byte_order_mark_is_skipped(make: Make) -> None:
    for text, name in ((FULL, "b.toml"), (run_list("yaml"), "b.yaml"), (run_list("csv"), "b.csv")):
        assert make(b"\xef\xbb\xbf" + text.encode(), name, remote_output_path="/out").stages


def test_yaml_aliases_and_merge_keys(make: Make) -> None:
    text = "x: &x {timeout: 5, retries: 1}\nruns:\n- <<: *x\n  cmd: a\n- {<<: *x, cmd: b, retries: 2}\n"
    first, second = make(text, "j.yaml", remote_output_path="/o").stages[0].runs
    assert (first.settings.timeout, first.settings.retries, second.settings.retries) == (5.0, 1, 2)


def test_a_path_like_and_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "batchfile.toml").write_text(FULL)
    monkeypatch.chdir(tmp_path)
    named, absolute = load("batchfile.toml"), load(tmp_path / "batchfile.toml")
    assert named._replace(stages=()) == absolute._replace(stages=())
    assert [run[:4] for _, run in named.runs()] == [run[:4] for _, run in absolute.runs()]


def test_the_import_is_cheap() -> None:
    code = "import sys, pydoit_sc.batchfile; print([m for m in ('yaml','tomli','csv','difflib','doit') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "text", "seconds"),
    [
        ("a.json", json.dumps({"runs": [{"cmd": f"echo {i}", "name": f"n{i}"} for i in range(100_000)]}), 3),
        (
            "a.toml",
            '[runs.m]\ncmd = "x {a} {b}"\n[runs.m.matrix]\na = {range = [0, 1000]}\nb = {range = [0, 100]}\n',
            2,
        ),
    ],
)
def test_a_hundred_thousand_runs_are_quick(make: Make, name: str, text: str, seconds: float) -> None:
    start = time.process_time()
    batch = make(text, name, remote_output_path="/o")
    assert time.process_time() - start < seconds
    assert sum(1 for _ in batch.runs()) == 100_000


def test_bytes_that_are_not_utf8_are_kept(make: Make) -> None:
    run = {"cmd": "echo caf\udce9", "env": {"caf\udce9": "caf\udce9"}}
    batch = make(json.dumps({"runs": [run]}), "a.json", remote_output_path="/o")
    ((_, read),) = batch.runs()
    assert (read.cmd, dict(read.settings.env)) == (run["cmd"], run["env"])
