"""A stand-in, our client and the published `sc` on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydoit_sc.saturn import Policy, SaturnClient, Settings

from .standin import Standin

Sc = Callable[..., "subprocess.CompletedProcess[str]"]

#: Retries without waiting.
QUICK = Policy(connect_timeout=5, read_timeout=5, first_delay=0.001, longest_delay=2, sleep=lambda _: None)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SATURN_BASE_URL", "SATURN_TOKEN", "SATURN_REFRESH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
def client(standin: Standin) -> Iterator[SaturnClient]:
    with SaturnClient(Settings.from_env(standin.env()), QUICK) as client:
        yield client


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
