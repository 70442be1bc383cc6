"""The cost of an order: two stages that pair up run by run, against two that have nothing to do with each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STAGES = """\
[batch]
remote_output_path = "out"
[runs.a]
cmd = "a {i}"
name = "{i:06d}"
matrix = { i = { range = [0, COUNT] } }
[runs.b]
cmd = "b {i}"
name = "{i:06d}"
matrix = { i = { range = [0, COUNT] } }
"""


def _plan(folder: Path, text: str) -> tuple[float, int]:
    """Return the processor time and the memory that a plan takes: seconds and kilobytes."""
    folder.mkdir()
    (folder / "batchfile.toml").write_text(text)
    with subprocess.Popen(
        [sys.executable, "-m", "pydoit_sc", "plan"], cwd=folder, stdout=subprocess.DEVNULL
    ) as program:
        _, status, used = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
    assert program.returncode == 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss


def test_paired_stages_are_planned_as_quickly_as_unrelated_ones(tmp_path: Path) -> None:
    unrelated = STAGES.replace("COUNT", "100000")
    paired = unrelated.replace("[runs.b]\n", '[runs.b]\nafter = ["a:{i:06d}"]\n')
    pairs = [
        (_plan(tmp_path / f"unrelated-{n}", unrelated), _plan(tmp_path / f"paired-{n}", paired))
        for n in range(3)
    ]
    assert min(b[0] / a[0] for a, b in pairs) < 1.5
    assert min(b[1] / a[1] for a, b in pairs) < 1.3
