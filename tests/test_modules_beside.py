"""A user's own modules beside the batchfile take the place of no module that the program needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.worker.workplace import PATIENCE, await_

NAMES = ["queue", "random", "yaml", "doit", "signal", "socket", "tempfile", "json", "select", "heapq", "mmap"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the user was imported')")
    (tmp_path / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "out"\nnprocs = 1\n[runs.a]\n'
        f"cmd = '{sys.executable} -c \"import random\" || echo theirs'\n"
    )
    return tmp_path


def call(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pydoit_sc", *words],
        cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_they_do_not_break_the_program_and_are_there_for_runs(project: Path) -> None:
    done = call(project, "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / "out/a/stdout").read_text() == "theirs\n"


@pytest.mark.slow
def test_they_break_no_worker_of_a_submission(project: Path) -> None:
    done = call(project, "submit", "--engine", "local")
    assert done.returncode == 0, done.stderr
    await_((project / "out/a/status_code").exists)
    assert (project / "out/a/status_code").read_text() == "0"
