"""The examples, of which the README shows one, so that they cannot rot."""

import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-m", "pydoit_sc"]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Return a copy of the root example, where it has not been run."""
    for name in ("batchfile.toml", "doit.cfg"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("data", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("output"))
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cpu_seconds() -> float:
    """Return what the programs that have ended took of the processors: on a busy machine only a little more."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_the_first_command_runs_the_example_the_second_nothing_and_an_edit_what_it_touches(
    example: Path,
) -> None:
    assert "64 completed" in run(example, *PROGRAM)
    assert "<svg" in (example / "output/plot/results/weather.svg").read_text()[:500]
    before = cpu_seconds()
    assert "all 64 runs are up to date" in run(example, sys.executable, "-m", "doit")
    assert cpu_seconds() - before < 2  # 0.3 on an idle machine
    script = example / "examples/weather/plot.py"
    script.write_text(script.read_text() + "# edited\n")
    assert "1 of 64 runs to execute: 1 a file_dep has changed" in run(example, *PROGRAM)
    (example / "output/month/2013-05/status_code").unlink()
    assert "2 of 64 runs to execute: 1 no outcome yet" in run(example, *PROGRAM)


def test_what_the_readme_shows_of_the_batchfile_is_in_it() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    shown = [line.partition("  ")[0] for line in block.splitlines()]
    assert set(shown) <= set((ROOT / "batchfile.toml").read_text().splitlines())


@pytest.mark.parametrize("name", ["sweep", "files", "jobs"])
def test_the_small_examples_run(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("output"))
    assert " 0 failed" in (said := run(folder, *PROGRAM)) or "failed" not in said
    assert "up to date" in run(folder, *PROGRAM)
