"""Help, and how little it takes to show it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from doit.cmdparse import CmdOption

from pydoit_sc import __version__
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.commands.usage import usage
from tests.conftest import Box
from tests.docs.commands import command_of


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]], ids=" ".join)
def test_help_shows_every_command(box: Box, words: list[str]) -> None:
    out = box.ok(*words)
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert max(map(len, out.splitlines())) <= 80
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
    texts = re.split(r"^(?=pydoit-sc \S+:)", done.stdout, flags=re.MULTILINE)[1:]
    for (name, entry), text in zip(COMMANDS.items(), texts, strict=True):
        assert text.startswith(f"pydoit-sc {name}:")
        words = " ".join(text.replace(" \\\n", " ").split())
        assert words.startswith(f"pydoit-sc {name}: {entry.purpose} pydoit-sc {name} ")
        assert f"Examples pydoit-sc {entry.examples[0]} " in f"{words} "
        assert max(map(len, text.splitlines())) <= 80
        assert not re.search("--(db-file|backend|codec|check_file_uptodate)", text)
    assert box.ok("run", "--help") == texts[0]


def test_a_usage_says_whether_names_are_needed(stages: Box) -> None:
    usages = {
        name: command_of(name).doc_usage for name in COMMANDS.keys() - {"clean", "fetch", "run", "submit"}
    }
    for name, words in usages.items():
        if "STAGE | RUN | PATTERN ..." in words:
            needs_names = words.startswith("[BATCH] (")
            assert (stages(name).code == 3) == needs_names, (name, words)
            assert stages(name, "--status", "stale").code == 0, name


def test_doits_options_are_shown_where_they_mean_something(box: Box) -> None:
    """In a dodo.py the tasks are doit's, and so is the database."""
    box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    box.write("dodo.py", "")
    text = box.ok("help", "run", program="doit")
    assert "--db-file" in text
    assert text.index("--process") < text.index("--verbosity") < text.index("--db-file")


def test_help_is_as_wide_as_the_terminal() -> None:
    option = CmdOption({"name": "a", "long": "a-long-name", "default": "x", "help": "words " * 20})
    for columns in (40, 60):
        text = usage("p", "plan", "[RUN ...]", "words " * 20, [option])
        assert max(map(len, text.splitlines())) <= 80
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            assert max(map(len, usage("p", "plan", "", "words " * 20, [option]).splitlines())) <= columns


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
