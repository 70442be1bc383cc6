"""`batch`: its options, and what it takes for a chunk."""

from __future__ import annotations

import json

import pytest

from tests.conftest import HEAD, Box


def test_a_run_list_is_executed_as_the_options_say(box: Box) -> None:
    runs = [{"cmd": 'echo "$SATURN_RUN_LOCAL_RANK"; sleep 0.2'}] * 3 + [{"cmd": "exit 3"}]
    box.write("runs.json", json.dumps({"runs": runs, "remote_output_path": "out", "nprocs": 1}))
    assert "4 of 4 runs to execute\n" in box.ok("batch", "runs.json", "-n", "3")
    assert {box.out(f"{n}/stdout") for n in range(3)} == {"0\n", "1\n", "2\n"}
    done = box("batch", "--strict", "--quiet", "runs.json")
    assert (done.code, done.out) == (1, "failed runs:3: status code 3\n    $ exit 3\n")


def test_runs_that_fail_alike_go_on_where_the_list_says_so(box: Box) -> None:
    data = {"remote_output_path": "out", "runs": [{"cmd": "exit 3"}] * 25, "nprocs": 1}
    box.write("runs.json", json.dumps(data))
    assert 'set `max_failures` to "100%" beside the runs to continue anyway' in box("batch", "runs.json").err
    assert not (box.folder / "out/24").exists()
    box.write("runs.json", json.dumps(data | {"max_failures": "100%"}))
    done = box("batch", "-q", "runs.json")
    assert (done.code, done.err) == (0, "")
    assert box.out("24/status_code") == "3"
    box.write("few.json", json.dumps(data | {"max_failures": 2, "remote_output_path": "few"}))
    assert "stopped after 2 failures (`max_failures`)" in box("run", "-q", "few.json").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "batch: expected a chunk, found nothing"),
        (["a.json", "b.json"], "batch: expected a chunk, found a.json b.json"),
        (["gone.json"], "gone.json: no such file"),
        (["gone.json", "-n", "none"], "expected a number from 1 to 10,000, found `none`"),
        (["gone.json", "--storage-options", "[]"], "--storage-options: expected a table as JSON, such as {"),
        (["s3://b/0.json", "--storage-options", '{"secret": canary}'], '{"anon": true}, found no JSON\n'),
        (["batchfile.toml"], "batchfile.toml: expected a chunk or a run list, found a batchfile with stages"),
    ],
)
def test_what_it_does_not_take(box: Box, words: list[str], message: str) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true"\n')
    assert message in box("batch", *words).refused()
