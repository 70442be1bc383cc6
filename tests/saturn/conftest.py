"""A stand-in, our client and the published `sc` on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.policy import Policy
from pydoit_sc.tasks.program import run_program
from tests.starts import PROGRAMS, Program, start

from .standin import Standin

Sc = Callable[..., "subprocess.CompletedProcess[str]"]

#: Retries without waiting.
QUICK = Policy(connect_timeout=5, read_timeout=5, first_delay=0.001, longest_delay=2)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SATURN_BASE_URL", "SATURN_TOKEN", "SATURN_REFRESH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin
    for request in standin.requests:  # what its machines have left on this one
        for folder in re.findall(r"/tmp/commands/[0-9]{8}-[0-9]{6}-[0-9a-f]{6}", json.dumps(request.body)):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def client(standin: Standin) -> Iterator[SaturnClient]:
    with SaturnClient(Account.from_env(standin.env()), QUICK) as client:
        yield client


@dataclass
class Cli:
    """Our program in a folder, against the stand-in."""

    standin: Standin
    folder: Path

    def start(self, *words: str, program: str = "pydoit-sc", **env: str | None) -> Program:
        """Start it; a variable that is None is left out."""
        full = {**os.environ, **self.standin.env(), "PYTHONWARNINGS": "error", **env}
        known = {name: value for name, value in full.items() if value is not None}
        return start([PROGRAMS / program, *words], cwd=self.folder, env=known)

    def __call__(
        self, *words: str, program: str = "pydoit-sc", code: int = 0, **env: str | None
    ) -> tuple[str, str]:
        """Run it to its end, and return what it has written to stdout and stderr."""
        return self._ended(self.start(*words, program=program, **env), code)

    def refused(self, *words: str, **env: str | None) -> str:
        """Run it, expecting one message and nothing else, and return that."""
        out, err = self._ended(self.start(*words, program="pydoit-sc", **env), 3)
        assert err.startswith("ERROR: "), err
        assert "wrote" not in out
        return err.removeprefix("ERROR: ").rstrip("\n")

    def _ended(self, process: subprocess.Popen[str], code: int) -> tuple[str, str]:
        with process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, f"{process.returncode}: {out}{err}"
        assert "Traceback" not in err, err
        return out, err

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def cli(standin: Standin, tmp_path: Path) -> Cli:
    return Cli(standin, tmp_path)


@pytest.fixture
def refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """As `Cli.refused`, in this process, which is much quicker."""

    def refused(*words: str, **env: str | None) -> str:
        monkeypatch.chdir(cli.folder)
        for name, value in {**cli.standin.env(), **env}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        assert run_program(list(words)) == 3
        out, err = capsys.readouterr()
        assert err.startswith("ERROR: "), err
        assert "wrote" not in out
        return err.removeprefix("ERROR: ").rstrip("\n")

    return refused


@pytest.fixture
def sc(standin: Standin, tmp_path: Path) -> Sc:
    """Run the published client against the stand-in."""

    def sc(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **standin.env()}
        program = os.path.join(os.path.dirname(sys.executable), "sc")
        done = subprocess.run(
            [program, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return sc
