"""What `run` and `submit` say in place of a batchfile: how long an attempt may take, and how often it is tried."""

from __future__ import annotations

import json

import pytest

from tests.conftest import HEAD, Box

STAGE = (
    HEAD
    + 'retries = 5\n[runs.a]\ncmd = "echo {x} >> log; exit {x}"\nmatrix = { x = [0, 3] }\ntimeout = "1h"\n'
)


def test_retries_and_timeouts_of_a_list(box: Box) -> None:
    done = box.shell(
        "printf 'echo a >> log; exit 3\\nsleep 60\\n' | pydoit-sc run - --to out --retries 1 --timeout 0.3s"
    )
    assert done.code == 1
    assert "2 failed" in done.out
    assert "timed out after 0.3 s" in done.out
    assert box.executed() == ["a", "a"]


def test_how_many_runs_at_once_a_submission_executes(box: Box) -> None:
    line = "echo $SATURN_RUN_LOCAL_RANK >> log; while [ $(wc -l < log) -lt 3 ]; do sleep 0.05; done"
    box.write("cmds.txt", "".join(f"{line} # {n}\n" for n in range(3)))
    words = ("--to", "out", "--engine", "local", "-n", "3", "--timeout", "1m", "--wait")
    assert box("submit", "cmds.txt", *words).code == 0
    assert box.executed() == ["0", "1", "2"]


@pytest.mark.parametrize("command", ["run", "submit --engine local --wait"])
def test_they_take_the_place_of_what_every_table_says(box: Box, command: str) -> None:
    box.batchfile(STAGE)
    assert box(*command.split(), "--retries", "0").code == 1
    assert box.executed() == ["0", "3"]
    assert json.loads(box.out("a/3/run.json"))["retries"] == 0
    box.ok("a:0")  # which is current: how it is executed makes nothing stale
    assert box.executed() == []
    assert box(*command.split(), "--retries", "1", "--timeout", "90s").code == 1
    assert box.executed() == ["3", "3"]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--retries", "-1"], "--retries: expected an integer of at least 0, found `-1`"),
        (["--retries", "x"], "--retries: expected an integer of at least 0, found `x`"),
        (["--timeout", "0"], "--timeout: expected a duration longer than 0"),
        (["submit", "--timeout", "soon"], "--timeout: expected a duration such as"),
        (
            ["submit", "-n", "0"],
            '--nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found `0`',
        ),
    ],
)
def test_what_they_take(box: Box, words: list[str], answer: str) -> None:
    box.batchfile(STAGE)
    assert answer in box(*words).refused()
