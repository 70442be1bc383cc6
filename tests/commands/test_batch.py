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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "batch: expected a chunk, found nothing"),
        (["a.json", "b.json"], "batch: expected a chunk, found a.json b.json"),
        (["gone.json"], "gone.json: no such file"),
        (["gone.json", "-n", "none"], "expected how many runs at once, 1 or more, found `none`"),
        (["gone.json", "--storage-options", "[]"], "--storage-options"),
        (["batchfile.toml"], "batchfile.toml: expected a chunk or a run list, found a batchfile with stages"),
    ],
)
def test_what_it_does_not_take(box: Box, words: list[str], message: str) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true"\n')
    assert message in box("batch", *words).refused()
