"""`debug`: a run on the terminal, as a worker would start it, of which nothing is published."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pydoit_sc.batch import Run, Settings
from pydoit_sc.errors import UserError
from pydoit_sc.ledger import Work
from pydoit_sc.worker.foreground import prepare
from pydoit_sc.worker.results import Limits
from tests.conftest import HEAD, Box
from tests.starts import PROGRAMS
from tests.worker.workplace import PATIENCE

RUN = (
    HEAD.replace("nprocs", 'scratch = "$HERE/scratch"\nenv = { A = "é\\"" }\nnprocs')
    + """
[runs.a]
cmd = "echo $A $0 $SATURN_RUN_LOCAL_RANK; pwd; echo x > $SATURN_RUN_LOCAL_RESULTS_DIR/r; exit {code}"
matrix = { code = [0, 7] }
shell = ["bash", "-c"]
"""
)


#: Makes its standard input the terminal of its session, and becomes the program that its words name.
TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


def results(err: str) -> Path:
    """Return the folder that the command has named."""
    named = re.search(r"its results are in (.*)\n", err)
    assert named, err
    return Path(named[1])


def test_as_a_worker_starts_it_but_nothing_is_published(box: Box) -> None:
    box.env["HERE"] = str(box.folder)
    box.batchfile(RUN)
    (box.folder / "below").mkdir()
    done = box("debug", "-f", "../batchfile.toml", "--rank", "1", "a:7", cwd=box.folder / "below")
    assert (done.code, done.out) == (7, f'é" bash 1\n{box.folder}\n')
    assert results(done.err).parent.parent == box.folder / "scratch"
    assert (results(done.err) / "r").read_text() == "x\n"
    assert not (box.folder / "out").exists()
    assert box().code == 1
    failed = box("debug", "--status", "error")
    assert (failed.code, failed.err.partition(",")[0]) == (7, "a:7")


def test_a_shell_in_its_place(box: Box) -> None:
    box.env["HERE"] = str(box.folder)
    box.batchfile(RUN)
    done = box.shell(
        "echo 'echo $A $SATURN_RUN_LOCAL_RANK; exit 5' | pydoit-sc debug --shell a:0", SHELL="/bin/sh"
    )
    assert (done.code, done.out) == (5, 'é" 0\n')
    assert "its command: echo $A $0" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("a", "debug: expected the name of a run, found 2, of which --limit 1 takes the first"),
        ("", "expected the name of a run, found nothing"),
        ("--rank 2 a:0", "--rank: expected 0 to 1, as `nprocs` is 2, found 2"),
        ("--rank x a:0", "--rank: expected a number of at least 0, found `x`"),
    ],
)
def test_what_it_does_not_take(box: Box, words: str, said: str) -> None:
    box.env["HERE"] = str(box.folder)
    box.batchfile(RUN)
    assert said in box("debug", *words.split()).refused()


def test_it_has_the_terminal(box: Box) -> None:
    box.batchfile(
        HEAD
        + "[runs.a]\ncmd = '''trap 'echo caught; exit 9' INT; tty; read x; echo got $x; while :; do sleep 0.01; done'''\n"
    )
    box.env["TMPDIR"] = str(box.folder)
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TERMINAL, PROGRAMS / "pydoit-sc", "debug", "a"],
        cwd=box.folder, env=box.env, stdin=its, stdout=its, stderr=its, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            os.write(ours, b"hello\n")
            said = b""
            while b"got hello" not in said:
                said += os.read(ours, 1 << 16)
            assert os.fsencode(os.ttyname(its)) in said
            os.write(ours, b"\x03")
            assert process.wait(PATIENCE) == 9
        finally:
            process.kill()
            os.close(ours)
            os.close(its)


def test_a_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That in which the run would start."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    work = Work("a:1", Run("1", "true", "1", Settings()), "/o/1", "f")
    with pytest.raises(UserError, match=r"^debug: "):
        prepare(work, Limits(1, scratch=str(tmp_path)), 0)
