"""A reader who does what the pages say, in their order, sees what they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Command, File, agrees, steps_of
from tests.starts import PROGRAMS, start

#: What pages need that slow tests have: fixtures of the environment.
FIXTURES = ("s3", "slurm", "workers")
#: What tests do not have, and why.
NOWHERE = {
    "ci": ".ci/run executes it in fresh clones",
    "packages": "it installs from a package registry",
    "saturn": "there is no account at Saturn Cloud; tests/saturn has a stand-in",
}

_SHELL = re.compile(r"[|&;<>$`\\(){}=!]")  # what is more than words


@dataclass
class Reader:
    """Somebody at a shell."""

    folder: Path
    env: dict[str, str]

    def do(self, step: File | Command) -> None:
        """Write a file, or run a command and look at what it prints."""
        if isinstance(step, File):
            (self.folder / step.name).write_text(step.text)
            return
        code, printed = self._run(step.line)
        assert code == step.code, (step.line, printed)
        if step.printed:
            assert agrees(printed, step.printed), f"$ {step.line}\n{printed}\nthe page shows\n{step.printed}"

    def _run(self, line: str) -> tuple[int, str]:
        words = shlex.split(line, comments=True)
        if words[0] in ("pydoit-sc", "doit") and not _SHELL.search(line.partition(" #")[0]):
            with start(
                [PROGRAMS / words[0], *words[1:]], cwd=self.folder, env=self.env, merged=True
            ) as process:
                printed, _ = process.communicate(timeout=120)
            return process.returncode, printed
        where = self.folder.parent / "where"
        done = subprocess.run(
            ["bash", "-c", f"{line}\ncode=$?; pwd > {shlex.quote(str(where))}; exit $code"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self.folder = Path(where.read_text().removesuffix("\n"))
        return done.returncode, done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A reader in an empty folder, who has a clone of the repository."""
    (folder := tmp_path / "work").mkdir()
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYDOIT_SC_", "SATURN_"))
    }
    env |= {"PATH": f"{PROGRAMS}:{env['PATH']}", "REPOSITORY": str(ROOT), "HOME": str(tmp_path)}
    return Reader(folder, env)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _cases(*needs: str) -> list[object]:
    """Return the pages with steps that need one of these, each with what it needs."""
    return [
        pytest.param(page, need, id=f"{_name(page)} {need}".strip())
        for page in PAGES
        for need in needs
        if any(step.needs == need for step in steps_of(page.read_text()))
    ]


def _read(reader: Reader, page: Path, need: str) -> None:
    for step in steps_of(page.read_text()):
        if step.needs in ("", need):
            reader.do(step)


@pytest.mark.parametrize(("page", "need"), _cases(""))
def test_what_a_page_says(reader: Reader, page: Path, need: str) -> None:
    _read(reader, page, need)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "need"), _cases(*FIXTURES))
def test_what_needs_more(reader: Reader, request: pytest.FixtureRequest, page: Path, need: str) -> None:
    reader.env |= request.getfixturevalue(f"env_of_{need}")
    _read(reader, page, need)


def test_all_that_is_needed_is_known() -> None:
    needed = {step.needs for page in PAGES for step in steps_of(page.read_text())} - {""}
    assert needed == {*FIXTURES, *NOWHERE}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_lines_fit_a_page(page: Path) -> None:
    """Code, comments and tables apart, a line has at most 120 characters."""
    prose = re.sub(r"^```.*?^```|^<!--.*?-->", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.split("\n") if len(line) > 120 and line[0] != "|"] == []


PAGE = """\
<!-- $ cp a b -->
```toml title="batchfile.toml"
[batch]
```
<!-- exit 1 -->
```console
$ pydoit-sc run \\
    month
1 failed, in ...
$ false
```
<!-- needs slurm: a cluster -->
```console
$ sbatch
```
"""


def test_the_steps_of_a_page() -> None:
    assert list(steps_of(PAGE)) == [
        Command("cp a b"),
        File("batchfile.toml", "[batch]\n"),
        Command("pydoit-sc run \\\n    month", "1 failed, in ...\n", code=1),
        Command("false", code=1),
        Command("sbatch", needs="slurm"),
    ]


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("1 run\n", "1 run", True),
        ("a  1\nb  2\n", "a 1\nb 2\n", True),
        ("1 completed, in 0:02\n", "1 completed, in ...\n", True),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a\nc\n", "a\n...\nc\n", True),
        ("11 runs\n", "1 run\n", False),
        ("a\nb\n", "a\n", False),
        ("a\n", "...\nb\n", False),
    ],
)
def test_what_a_page_shows_is_compared(printed: str, shown: str, same: bool) -> None:
    assert agrees(printed, shown) is same


def test_a_command_that_ends_otherwise_is_seen(reader: Reader) -> None:
    with pytest.raises(AssertionError):
        reader.do(Command("false"))
    with pytest.raises(AssertionError, match="the page shows"):
        reader.do(Command("echo a", "b\n"))
