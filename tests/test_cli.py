"""The program: pipes, closed streams and signals around any command."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

import pytest

from tests.conftest import HEAD, PROGRAMS, Box, until

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
