"""The progress of a batch on a terminal and elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from contextlib import suppress

import pytest

from tests.conftest import PROGRAMS, Box


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
    failing.edit("echo oops", "sleep 0.2; echo '[bold]oops[/nope]'")
    code, shown = on_a_terminal(failing)
    assert code == 1
    assert "    [bold]oops[/nope]" in shown


def test_nothing_to_do_shows_no_bar(failing: Box) -> None:
    failing.write("code", "0")
    failing.ok()
    assert on_a_terminal(failing) == (0, "all 3 runs are up to date\r\n")


@pytest.mark.parametrize("program", ["pydoit-sc", "doit"])
def test_a_batch_goes_on_when_its_reader_goes(stages: Box, program: str) -> None:
    stages.edit("cat in", "cat in; exit 1")
    stages.edit("[1, 2, 3]", "{ range = [0, 30] }")
    done = subprocess.run(
        ["bash", "-c", f"'{PROGRAMS}/{program}' | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=stages.folder,
        env=stages.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(stages.executed()) == 30
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_output_to_a_full_disk(stages: Box) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{PROGRAMS}/pydoit-sc' > /dev/full"],
        cwd=stages.folder,
        env=stages.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]
