"""Help, and how little it takes to show it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pydoit_sc import __version__
from pydoit_sc.catalogue import COMMANDS
from tests.conftest import Box


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]], ids=" ".join)
def test_help_shows_every_command(box: Box, words: list[str]) -> None:
    out = box.ok(*words)
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert "\nExamples\n" in out


def test_version(box: Box) -> None:
    assert box.ok("--version") == f"pydoit-sc {__version__}\n"


def test_help_on_each_command_has_its_purpose_and_an_example(box: Box) -> None:
    each = "from pydoit_sc.cli import main\nfor name in {}: main([name, '--help'])"
    done = subprocess.run(
        [sys.executable, "-c", each.format(list(COMMANDS))],
        env=box.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    texts = done.stdout.split("PURPOSE\n")[1:]
    for (name, entry), text in zip(COMMANDS.items(), texts, strict=True):
        assert entry.purpose in " ".join(text.split())
        assert f"USAGE\n    pydoit-sc {name}" in text
        assert f"EXAMPLES\n    pydoit-sc {entry.examples[0]}\n" in text
    assert box.ok("run", "--help") == f"PURPOSE\n{texts[0]}"


def test_help_takes_nothing_else_with_it() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pydoit_sc", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "pydoit_sc" in modules
    assert not modules & {"doit", "fsspec", "yaml", "rich", "requests", "tomli", "tabulate"}


def test_help_on_what_is_no_command(stages: Box) -> None:
    assert "did you mean `plan`?" in stages("help", "pla").refused()
    assert "no run or stage is named `zzz`" in stages("help", "zzz").refused()
    assert stages.ok("help", "a") == "a  3 runs\n"
