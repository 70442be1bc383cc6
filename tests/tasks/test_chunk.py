"""`doit chunk`: the chunks of a split, executed on this machine by workers of their own."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import DOIT_CFG, Box, until

#: Twelve runs in three chunks; each run writes its name into `log`.
BATCH = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
batch_size = 4
durable = false

[runs.a]
cmd = "echo a:{x} >> log; echo $SATURN_RUN_LOCAL_RANK; test ! -e fail{x}"
matrix = { x = { range = [0, 12, 1] } }

[saturn]
recipe = "job.json"
file_syncs_base_dir_url = "file://base"
"""
NAMES = [f"a:{x}" for x in range(12)]


@pytest.fixture
def twelve(box: Box) -> Box:
    """A project of twelve runs, four in a chunk."""
    box.batchfile(BATCH)
    box.write("doit.cfg", DOIT_CFG)
    box.write("job.json", json.dumps({"type": "job", "spec": {"name": "job", "instance_type": "large"}}))
    return box


def doit(box: Box, *words: str) -> list[str]:
    """Run doit and return what became of its tasks: `. chunk:0` was executed, `-- chunk:0` is up to date."""
    return [" ".join(line.split()) for line in box.ok(*words, program="doit").splitlines() if line[0] in ".-"]


def test_all_chunks_two_at_a_time(twelve: Box) -> None:
    doit(twelve, "split")
    said = twelve.ok("-n", "2", "chunk", program="doit")
    assert twelve.executed() == sorted(NAMES)
    assert {twelve.out(f"a/{x}/stdout") for x in range(12)} == {
        "0\n",
        "1\n",
    }  # each worker has ranks of its own
    for number in range(3):
        assert f"chunk:{number}: 4 of 4 runs to execute\n" in said
        assert f"chunk:{number}: 4 completed, in 0:0" in said
    assert twelve.ok(program="doit") == "all 12 runs are up to date\n"


def test_chunks_execute_at_the_same_time(twelve: Box) -> None:
    """Each of two runs, in two chunks, waits for the other."""
    os.mkfifo(twelve.folder / "pipe")
    twelve.edit("range = [0, 12, 1]", "range = [0, 2, 1]")
    twelve.edit("batch_size = 4", "batch_size = 1")
    twelve.edit("test ! -e fail{x}", "if test {x} = 0; then echo > pipe; else read y < pipe; fi")
    doit(twelve, "-n", "2", "chunk")
    assert twelve.executed() == ["a:0", "a:1"]


def test_one_chunk_alone(twelve: Box) -> None:
    assert doit(twelve, "chunk:1") == [". split:chunks", ". chunk:1"]
    assert twelve.executed() == sorted(NAMES[4:8])
    assert doit(twelve, "chunk:1") == ["-- split:chunks", "-- chunk:1"]
    assert "-- chunk:1" in doit(twelve, "-n", "2", "chunk")
    assert twelve.executed() == sorted(NAMES[:4] + NAMES[8:])
    chunks = [f"chunk:{number}" for number in range(3)]
    assert sorted(doit(twelve, "chunk")) == [f"-- {name}" for name in (*chunks, "split:chunks")]


def test_what_is_missing_is_executed_again(twelve: Box) -> None:
    doit(twelve, "chunk")
    twelve.executed()
    (twelve.folder / "out/a/6/status_code").unlink()
    assert ". chunk:1" in doit(twelve, "chunk")
    assert twelve.executed() == ["a:6"]


def test_an_edit_makes_new_chunks(twelve: Box) -> None:
    doit(twelve, "chunk:1")
    twelve.executed()
    twelve.edit("range = [0, 12, 1]", "range = [0, 13, 1]")
    doit(twelve, "chunk")
    assert twelve.executed() == sorted([*NAMES[:4], *NAMES[8:], "a:12"])
    twelve.edit("echo a:{x}", "echo b:{x}")
    doit(twelve, "chunk")
    assert len(twelve.executed()) == 13


def test_split_takes_what_is_left(twelve: Box) -> None:
    doit(twelve, "chunk:1")
    assert doit(twelve, "split")[:1] == [". split:chunks"]
    assert doit(twelve, "chunk:1") == ["-- split:chunks", ". chunk:1"]
    assert twelve.executed() == sorted(NAMES[4:])  # chunk:1 of the first split, and of the second


def test_failed_runs(twelve: Box) -> None:
    twelve.write("fail6", "")
    done = twelve("-n", "2", "chunk", program="doit")
    assert done.code == 1, done
    assert "chunk:1: failed a:6: status code 1\n" in done.out
    assert "1.json: not all runs are completed" in done.out + done.err
    assert twelve.executed() == sorted(NAMES)
    (twelve.folder / "fail6").unlink()
    doit(twelve, "chunk:1")
    assert twelve.executed() == ["a:6"]


def test_a_worker_that_cannot_go_on(twelve: Box) -> None:
    twelve.edit("test ! -e fail{x}", "rm -rf out/.pydoit_sc/attempts/*")
    done = twelve("chunk:0", program="doit")
    assert done.code == 2, done
    assert "0.json: the worker has ended with exit code 2" in done.out + done.err


def test_the_worker_ends_with_doit(twelve: Box) -> None:
    twelve.edit("test ! -e fail{x}", "echo $PPID > worker; exec sleep 600")
    with twelve.start("-n", "2", "chunk:0", program="doit") as process:
        until((twelve.folder / "worker").exists)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    worker = int((twelve.folder / "worker").read_text())
    until(lambda: not Path(f"/proc/{worker}").exists())
    assert twelve.tree() == []


def test_info_gives_the_reason(twelve: Box) -> None:
    assert "0.json is to be written by `split`" in twelve("info", "chunk:0", program="doit").out
    doit(twelve, "split")
    done = twelve("info", "chunk:0", program="doit")
    assert "4 of 4 runs to execute" in done.out
