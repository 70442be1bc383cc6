"""Locales: what a run is, and the bytes that it gets, are the same in each of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from pydoit_sc.utf8 import escaped, to_bytes
from tests.conftest import HEAD, NOT_UTF8, Box

#: A value, a variable, a path and a result that are not ASCII, and files whose names are not UTF-8.
FOREIGN = (
    HEAD
    + """
[runs.a]
cmd = 'cat {path}; printf %s "$VALUE"; echo é; touch "$SATURN_RUN_LOCAL_RESULTS_DIR/é"; echo é >&2; exit 1'
file_dep = ["data/*"]
env = { VALUE = "é" }
matrix = { path = { glob = "data/*" } }
"""
)


@pytest.fixture
def foreign(tmp_path: Path) -> Box:
    """A project in a folder whose name is not UTF-8, as is that of one of its data files."""
    box = Box(tmp_path / os.fsdecode(b"caf\xe9"))
    box.batchfile(FOREIGN)
    box.write(os.fsdecode(b"data/n\xe9"), "x")
    box.write("data/é", "y")
    return box


@pytest.fixture(scope="session")
def latin1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a program in a locale with ISO 8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    made = folder / "en_US.ISO-8859-1"
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", made], capture_output=True, check=False)
    if not made.exists():
        pytest.skip("no locales can be made here")
    return {"LOCPATH": str(folder), "LC_ALL": made.name}


def _identity(box: Box) -> list[tuple[str, str, object, str]]:
    found = []
    for name in ("n-xe9", "é"):
        said = json.loads(box.out(f"a/{name}/run.json"))
        found.append((said["cmd"], said["fingerprint"], said["files"], box.out(f"a/{name}/stdout")))
    return found


@pytest.mark.parametrize(
    "locale",
    ["C", "printed as ascii", *(pytest.param(one, marks=pytest.mark.slow) for one in ("ascii", "latin-1"))],
)
def test_a_batch_is_the_same_in_every_locale(
    foreign: Box, locale: str, request: pytest.FixtureRequest
) -> None:
    envs = {"C": {"LC_ALL": "C"}, "ascii": NOT_UTF8, "printed as ascii": {"PYTHONIOENCODING": "ascii"}}
    env = envs[locale] if locale in envs else request.getfixturevalue("latin1")
    assert foreign.shell("pydoit-sc", **env).code == 1
    there = _identity(foreign)
    assert [stdout for *_, stdout in there] == ["xéé\n", "yéé\n"]
    foreign("-a")
    assert _identity(foreign) == there
    foreign.edit("exit 1", "true  ")
    foreign.ok()
    assert foreign.shell("pydoit-sc plan", **env).out == "all 2 runs are up to date\n"


def test_what_the_terminal_cannot_show_is_an_escape(foreign: Box, latin1: dict[str, str]) -> None:
    foreign.edit("echo é >&2", "echo é日 >&2")
    done = foreign.shell("pydoit-sc", **latin1)
    assert os.fsencode(": status code 1\n    \udce9\\u65e5\n") in os.fsencode(done.out)
    assert ": status code 1\n    é日\n" in foreign.shell("pydoit-sc", LC_ALL="C.UTF-8").out


@pytest.mark.parametrize("env", [{}, NOT_UTF8], ids=str)
def test_a_submission(foreign: Box, env: dict[str, str]) -> None:
    foreign.edit("exit 1", "true  ")
    done = foreign.shell("pydoit-sc submit --engine local --wait", **env)
    assert (done.code, done.err) == (0, "")
    assert foreign.out("a/n-xe9/stdout") == "xéé\n"
    assert foreign.ok("plan") == "all 2 runs are up to date\n"


def test_doit_in_another_locale(foreign: Box) -> None:
    foreign.write("doit.cfg", "[GLOBAL]\nloader = batchfile\n[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    assert "set PYTHONUTF8=1" in foreign.shell("doit", **NOT_UTF8).refused()
    assert foreign.shell("PYTHONUTF8=1 doit", **NOT_UTF8).code == 1


def test_doit_shows_what_its_encoding_lacks(foreign: Box) -> None:
    foreign.write("doit.cfg", "[GLOBAL]\nloader = batchfile\n[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    done = foreign.shell("doit list --all && doit", PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (1, "")
    assert "a:\\xe9 " in done.out
    assert re.search(r"failed a:(n-)?\\?xe9: status code 1\n    \\xe9\n", done.out)


def test_runs_find_the_users_own_locale(foreign: Box) -> None:
    foreign.edit("exit 1", "env ")
    foreign.shell("pydoit-sc a:é", **NOT_UTF8)
    said = (foreign.folder / "out/a/é/stdout").read_bytes().splitlines()
    assert {f"{name}={value}".encode() for name, value in NOT_UTF8.items()} <= set(said)


def test_texts_are_bytes() -> None:
    assert to_bytes("é\udce9") == b"\xc3\xa9\xe9"
    assert escaped("é\udce9") == "é\\xe9"
    with pytest.raises(UnicodeEncodeError):
        to_bytes("\ud800")
