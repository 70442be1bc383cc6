"""The README's and the documents' examples, so that they cannot rot."""

import re
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pydoit_sc.batchfile import load
from pydoit_sc.catalogue import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = [sys.executable, "-m", "pydoit_sc"]


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


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


def test_the_list_of_commands_runs_as_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text("import sys\nsys.exit(sys.argv[1:] == ['--seed', '7'])\n")
    first, *others = re.findall(r"^\$ (.*)$", blocks(ROOT / "README.md", "console")[0], re.MULTILINE)
    run(tmp_path, "bash", "-c", first.replace("5000", "9"))
    said = []
    for line in others:
        _, *words = shlex.split(line, comments=True)
        done = subprocess.run([*PROGRAM, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        said.append((done.returncode, done.stdout))
    assert [code for code, _ in said] == [1, 0, 1]
    assert "8 completed, 1 failed" in said[0][1]
    assert "1 × exit 1" in said[1][1]
    assert said[2][1].startswith("1 of 9 runs to execute: 1 failed before")
    (folder,) = re.findall(r"^out/(\w+)/stdout", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert (tmp_path / "out" / folder / "status_code").read_text() == "0"


def cpu_seconds() -> float:
    """Return what the programs that have ended took of the processors: on a busy machine only a little more."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
    assert "2 of 64 runs to execute: 1 no status_code" in run(example, *PROGRAM)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_exists(document: Path) -> None:
    for block in blocks(document, "console"):
        for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            words = shlex.split(line, comments=True)
            for i in (i for i, word in enumerate(words) if word.endswith("pydoit-sc")):
                rest = [word for word in words[i + 1 :] if word != "."]
                assert not rest or rest[0] in COMMANDS or ":" in rest[0], line


def test_the_readme_batchfile_is_one(tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "README.md", "toml")
    (tmp_path / "batchfile.toml").write_text(text)
    batch = load(tmp_path / "batchfile.toml")
    assert [len(stage.runs) for stage in batch.stages] == [24, 1]


@pytest.mark.parametrize("name", ["sweep", "files", "jobs"])
def test_the_small_examples_run(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("output"))
    assert " 0 failed" in (said := run(folder, *PROGRAM)) or "failed" not in said
    assert "up to date" in run(folder, *PROGRAM)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_fit_a_page(document: Path) -> None:
    """Code and tables apart, a line has at most 120 characters."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.split("\n") if len(line) > 120 and line[0] != "|"] == []
