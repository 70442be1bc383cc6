"""The progress of a batch that executes, on a terminal and elsewhere."""

from __future__ import annotations

import re

import pytest

from pydoit_sc.show.progress import Progress, failure_line
from tests.conftest import Box
from tests.terminals import Terminal


def test_a_bar_and_the_failures(failing: Box) -> None:
    failing.edit("[1, 2, 3]", "{ range = [1, 9] }")
    failing.edit("echo oops", "sleep 0.1; echo oops")
    with Terminal(failing) as terminal:
        terminal.until(
            lambda lines: any(
                re.fullmatch(r"\d/8 done, 1 failed, 0 skipped, [12] running", line) for line in lines
            )
        )
        assert re.match(r"━+─+  \d+ %  0:0\d", terminal.lines()[-2])
        assert terminal.end() == 1
        *shown, last = terminal.lines()
    assert shown == ["8 of 8 runs to execute: 8 no outcome yet", "failed a:2: status code 7", "    oops"]
    assert last.startswith("7 completed, 1 failed, in 0:0")


def test_quiet_on_a_terminal(failing: Box) -> None:
    with Terminal(failing, "-q") as terminal:
        assert terminal.end() == 1
        assert terminal.raw == b"failed a:2: status code 7\r\n    oops\r\n"


def test_what_stderr_says_is_not_obeyed(failing: Box) -> None:
    said = r"sleep 0.2; printf '[bold]oops[/nope] :100: \\033[31;1mred\\033[0m \\033]52;c;cm0=\\007\\n 1 %%\\r100 %%\\n'"
    failing.edit("echo oops", said)
    with Terminal(failing) as terminal:
        assert terminal.end() == 1
        assert terminal.lines()[2:4] == [r"    [bold]oops[/nope] :100: red \x1b]52;c;cm0=\x07", "    100 %"]
        assert b"\x1b]" not in terminal.raw
        assert b"\x1b[31;1m" not in terminal.raw


def test_nothing_to_do_shows_no_bar(failing: Box) -> None:
    failing.write("code", "0")
    failing.ok()
    with Terminal(failing) as terminal:
        assert (terminal.end(), terminal.raw) == (0, b"all 3 runs are up to date\r\n")


@pytest.mark.parametrize("program", ["pydoit-sc", "doit"])
def test_a_batch_goes_on_when_its_reader_goes(stages: Box, program: str) -> None:
    stages.edit("cat in", "cat in; exit 1")
    stages.edit("durable = false", "durable = false\nmax_failures = 100")
    stages.edit("[1, 2, 3]", "{ range = [0, 30] }")
    done = stages.shell(f"{program} | head -1; exit ${{PIPESTATUS[0]}}")
    assert len(stages.executed()) == 30
    assert (done.code, done.err) == (1, "")


@pytest.mark.parametrize("program", ["pydoit-sc", "doit"])
@pytest.mark.parametrize("where", ["> /dev/full", "-o /dev/full"])
def test_output_to_a_full_disk(stages: Box, program: str, where: str) -> None:
    done = stages.shell(f"{program} {where}")
    assert (done.code, done.err) == (0, "the output cannot be written: No space left on device\n")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]


def test_what_moves_on_a_terminal_is_left_out_of_the_end_of_stderr() -> None:
    assert failure_line("a:1", "status code 2", b"10 %\r\x1b[2K\x1b[A\x1b[1mno\x1b[0m").endswith("    no")


def test_the_end_of_stderr() -> None:
    tail = b"\xa4 \xc3\xa9\n10 %\r50 %\r100 %\r\n\tat main\r\n\n"
    assert failure_line("a:1", "status code 2", tail).split("\n")[1:] == [
        "    \\xa4 é",
        "    100 %",
        "            at main",
    ]


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 of its processes was still running when its shell ended and was killed; use `wait` to wait for it"),
     (2, "2 of its processes were still running when its shell ended and were killed; use `wait` to wait for them")],
)  # fmt: skip
def test_what_is_left_behind_is_told_once(count: int, words: str) -> None:
    progress = Progress()
    told: list[str] = []
    for task in ("a:0", "a:1"):
        progress.tell_left_behind(told.append, task, count)
    assert told == [f"a:0: {words} (shown once)"]
