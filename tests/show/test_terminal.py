"""Commands on a terminal: narrow, usual and wide, resized while it shows something, dumb, and without colours."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.conftest import HEAD, Box, until
from tests.terminals import Terminal

SIZES = (40, 80, 200)
NAME = "a-name-that-is-longer-than-forty-columns-"
#: One run that fails and four that end when the file `go` is there.
BATCH = (
    HEAD.replace("nprocs = 2", "nprocs = 3")
    + f"""
[runs.long]
cmd = "echo closing_price {{x}} >&2; test {{x}} != 1 || exit 3; while ! test -e go; do sleep 0.02; done"
name = "{NAME}{{x}}"
matrix = {{ x = {{ range = [0, 5] }} }}
"""
)


@pytest.fixture
def long(box: Box) -> Box:
    box.batchfile(BATCH)
    return box


def shows(pattern: str, lines: list[str]) -> bool:
    return re.search(pattern, " ".join(lines)) is not None


@pytest.mark.parametrize(("words", "columns"), [((), 40), (("submit", "--engine", "local", "--wait"), 80)])
def test_a_batch_that_executes(long: Box, words: tuple[str, ...], columns: int) -> None:
    with Terminal(long, *words, columns=columns) as terminal:
        lines = terminal.until(
            lambda lines: (
                shows(r"0/5 done, 1 failed, 0 skipped, 3 running.* 0:0[1-9]$", lines)
                and lines[-1][:5] == "long:"
            )
        )
        bar = next(line for line in lines if "%" in line)
        assert re.match(r"━+─+  20 %  0:\d\d", bar)
        assert lines[-1].startswith("long:a-name-that-is-longer")
        assert max(map(len, lines[lines.index(bar) :])) < columns
        for other in SIZES:
            terminal.resize(other)
            terminal.until(partial(_is_fitted, other))
        long.write("go", "")
        assert terminal.end() == 1
        lines, raw = terminal.lines(), terminal.raw.decode()
    assert f"failed long:{NAME}1: status code 3\r\n" in raw  # in one piece
    assert "running" not in " ".join(lines)
    assert re.search(r"4 completed, 1 failed, in \d:\d\d", " ".join(lines))


def _is_fitted(columns: int, lines: list[str]) -> bool:
    """Return whether the bar below the lines that stay has the width of the terminal."""
    bar = next((line for line in lines if "%" in line), "")
    if columns == 40:
        return "…" in lines[-1] and 0 < len(bar) < 40
    return "…" not in lines[-1] and len(re.findall("[━─]", bar)) == 40


@pytest.mark.parametrize("columns", SIZES)
def test_commands_that_show_something(long: Box, columns: int) -> None:
    long.write("go", "")
    assert long().code == 1
    for words, expected in {
        ("plan",): f"1 of 5 runs to execute: 1 failed before   long:{NAME}1",
        ("status",): "5 runs: 4 completed, 1 failed",
        ("failures",): "1 × exit 3",
        ("summarize-batch",): "status status_code remote_output_path",
        ("help",): "On many machines",
        ("help", "run"): "--process",
    }.items():
        with Terminal(long, *words, columns=columns) as terminal:
            assert terminal.end() == 0
            raw = terminal.raw.decode().replace("\r\n", "\n")
        assert "\x1b" not in raw
        assert " ".join(expected.split()) in " ".join(raw.split())
        if words in (("status",), ("summarize-batch",)):
            assert max(map(len, raw.split("\n"))) <= max(columns, 80)  # names and ids are not broken


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"CI": "true"}])
def test_plain_terminals(failing: Box, env: dict[str, str]) -> None:
    with Terminal(failing, env=env) as terminal:
        assert terminal.end() == 1
        *lines, last = terminal.lines()
        assert "\x1b" not in terminal.raw.decode()
    assert lines == ["3 of 3 runs to execute: 3 no outcome yet", "failed a:2: status code 7", "    oops"]
    assert re.fullmatch(r"2 completed, 1 failed, in 0:\d\d", last)


def test_runs_that_wait_for_slots_are_not_running(box: Box) -> None:
    box.batchfile(
        HEAD
        + '[runs.a]\ncmd = "touch s; while ! test -e go; do sleep 0.02; done"\nslots = 2\nmatrix = { x = [1, 2, 3] }\n'
    )
    with Terminal(box) as terminal:
        terminal.until(lambda lines: shows("0/3 done, 0 failed, 0 skipped, 1 running", lines))
        until((box.folder / "s").exists)
        box.write("go", "")
        assert terminal.end() == 0
        assert "2 running" not in terminal.raw.decode()
