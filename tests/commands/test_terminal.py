"""On a terminal, into pipes that close, and interrupted before anything was started."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from contextlib import suppress

import pytest

from .conftest import HEAD, PROGRAMS, Box, until


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


MANY = HEAD + '[runs.a]\ncmd = "echo {x}"\nmatrix = { x = { range = [0, 8000] } }\n'


@pytest.mark.parametrize("command", ["list --all", "summarize-batch --format csv", "help"])
def test_head(box: Box, command: str) -> None:
    box.batchfile(MANY)
    done = subprocess.run(
        ["bash", "-c", f"'{PROGRAMS}/pydoit-sc' {command} | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=box.folder,
        env=box.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode in (0, 128 + signal.SIGPIPE)


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


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(stages: Box, closed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{PROGRAMS}/pydoit-sc' {closed} && '{PROGRAMS}/pydoit-sc' list {closed}"],
        cwd=stages.folder,
        env=stages.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]
    assert stages.out("a/2/stdout") == "1"


@pytest.mark.parametrize("program", ["pydoit-sc", "doit"])
def test_interrupted_while_planning(stages: Box, program: str) -> None:
    batchfile = stages.folder / "batchfile.toml"
    batchfile.unlink()
    os.mkfifo(batchfile)
    ends: list[int] = []

    def is_read() -> bool:
        with suppress(OSError):  # nobody has opened it to read
            ends.append(os.open(batchfile, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    with stages.start(program=program) as process:
        until(is_read)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    os.close(ends[0])
    assert "Traceback" not in err
    assert out == ""
    assert process.returncode in (128 + signal.SIGINT, -signal.SIGINT)
