"""The progress of a batch on a terminal and elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from contextlib import suppress

import pytest

from pydoit_sc.show.progress import failure_line
from tests.conftest import Box
from tests.starts import PROGRAMS


def on_a_terminal(box: Box, *words: str) -> tuple[int, str]:
    """Run the program with a terminal as its standard output; return its exit code and what was shown."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [PROGRAMS / "pydoit-sc", *words],
        cwd=box.folder,
        env={**box.env, "TERM": "xterm", "COLUMNS": "120"},
        stdin=its,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        shown = b""
        with suppress(OSError):  # how a terminal ends
            while block := os.read(ours, 1 << 16):
                shown += block
    os.close(ours)
    return process.returncode, shown.decode()


def test_a_bar_and_the_failures(failing: Box) -> None:
    failing.edit("[1, 2, 3]", "{ range = [1, 9] }")
    failing.edit("echo oops", "sleep 0.1; echo oops")
    code, shown = on_a_terminal(failing)
    assert code == 1
    assert shown.startswith("8 of 8 runs to execute: 8 no status_code\r\n")
    assert re.search(r"━+.* \d/8 done, \d failed, 0 skipped, \d running, \d:\d\d left", shown)
    assert "failed a:2: status code 7\r\n" in shown
    assert "    oops\r\n" in shown
    assert "7 completed, 1 failed, in 0:0" in shown.splitlines()[-1]
    plain = failing()
    assert "━" not in plain.out
    assert "\x1b" not in plain.out


def test_quiet_on_a_terminal(failing: Box) -> None:
    code, shown = on_a_terminal(failing, "-q")
    assert (code, shown) == (1, "failed a:2: status code 7\r\n    oops\r\n")


def test_markup_and_escapes_in_stderr_are_shown_as_they_are(failing: Box) -> None:
    failing.edit("echo oops", r"sleep 0.2; printf '[bold]oops[/nope] :smile: \\033]52;c;cm0=\\007\\n'")
    code, shown = on_a_terminal(failing)
    assert code == 1
    assert r"    [bold]oops[/nope] :smile: \x1b]52;c;cm0=\x07" in shown
    assert "\x1b]" not in shown


def test_nothing_to_do_shows_no_bar(failing: Box) -> None:
    failing.write("code", "0")
    failing.ok()
    assert on_a_terminal(failing) == (0, "all 3 runs are up to date\r\n")


@pytest.mark.parametrize("program", ["pydoit-sc", "doit"])
def test_a_batch_goes_on_when_its_reader_goes(stages: Box, program: str) -> None:
    stages.edit("cat in", "cat in; exit 1")
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


def test_the_end_of_stderr() -> None:
    tail = b"\xa4 \xc3\xa9\n10 %\r50 %\r100 %\r\n\tat main\r\n\n"
    assert failure_line("a:1", "status code 2", tail).split("\n")[1:] == [
        "    \\xa4 é",
        "    100 %",
        "            at main",
    ]
