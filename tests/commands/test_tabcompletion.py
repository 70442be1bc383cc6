"""Completion: what Tab offers, and that real shells insert it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pydoit_sc.commands.completion import complete
from pydoit_sc.commands.offers import Flag, Known, Typed, offers, split
from tests.conftest import HEAD, Box, until
from tests.starts import PROGRAMS
from tests.terminals import Window

BATCH = (
    HEAD
    + """
[runs.month]
cmd = "true {m.start}"
name = "{m.start:%Y-%m}"
matrix = { m = { from = 2000-01-01, to = 2011-12-01, every = "1 month" } }
[runs.odd]
cmd = "true {x}"
name = "{x}"
matrix = { x = ["a b", "a'c", "日本"] }
"""
)

KNOWN = Known(
    {
        "plan": "[BATCH] [STAGE | RUN ...]",
        "help": "[COMMAND]",
        "schema": "",
        "tabcompletion": "bash|zsh|fish",
    },
    {
        "plan": [
            Flag(["-a", "--always"], None, "all"),
            Flag(["--format"], "table|json", ""),
            Flag(["--status"], "completed|error|stale,", ""),
            Flag(["-f", "--file"], "FILE", ""),
            Flag(["--like"], "RUN", ""),
        ],
        "run": [Flag(["-n", "--process"], "N", "")],
    },
    [
        "month",
        *sorted(f"month:{year}-{month:02}" for year in range(2000, 2012) for month in range(1, 13)),
        "plot",
    ],
)


def offered(line: str, known: Known = KNOWN) -> list[str]:
    typed = split(line)
    return [one.word + " " * one.is_whole for one in offers(known, typed.words[1:], typed.current)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("p tabc", ["tabcompletion "]),
        ("p mon", ["month ", "month:"]),
        ("p help pl", ["plan "]),
        ("p plan pl", ["plot "]),
        ("p -n ", []),
        ("p -n 8 p", ["plot "]),
        ("p plan --f", ["--format ", "--file "]),
        ("p plan --format ", ["table ", "json "]),
        ("p plan --format=j", ["--format=json "]),
        ("p plan --format json pl", ["plot "]),
        ("p plan --status error,", ["error,completed ", "error,stale "]),
        ("p plan -a pl", ["plot "]),
        ("p plan -f x --like plo", ["plot "]),
        ("p plan --file ", []),
        ("p schema ", []),
        ("p tabcompletion z", ["zsh "]),
        ("p plan month:2001-1", ["month:2001-10 ", "month:2001-11 ", "month:2001-12 "]),
        ("p plan month:2001-1 plot month:2011-", [f"month:2011-{month:02} " for month in range(1, 13)]),
        ("p nope ", ["month ", "month:", "plot "]),
    ],
)
def test_offers(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_many_names_come_part_by_part() -> None:
    assert offered("p plan month:") == [f"month:{year}-" for year in range(2000, 2012)]
    known = KNOWN._replace(names=sorted(f"runs:{number}" for number in range(10_000)))
    assert offered("p plan runs:", known) == ["runs:0 ", *(f"runs:{digit}" for digit in range(1, 10))]
    assert offered("p plan runs:99", known) == ["runs:99 ", *(f"runs:99{digit}" for digit in range(10))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("p", Typed([], "p", "p", "")),
        ("p  a ", Typed(["p", "a"], "", "", "")),
        ("p '' 'a b", Typed(["p", ""], "a b", "'a b", "'")),
        ('p "a\\"b"c', Typed(["p"], 'a"bc', '"a\\"b"c', "")),
        ("p a\\ b:", Typed(["p"], "a b:", "a\\ b:", "")),
    ],
)
def test_split(line: str, expected: Typed) -> None:
    assert split(line) == expected


@pytest.fixture
def batch(box: Box, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A project, and this process in it, with a cache of its own."""
    box.batchfile(BATCH)
    box.env["XDG_CACHE_HOME"] = str(box.folder / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", box.env["XDG_CACHE_HOME"])
    monkeypatch.delenv("PYDOIT_SC_FILE", raising=False)
    monkeypatch.chdir(box.folder)
    return box


def words(line: str, shell: str = "zsh") -> list[str]:
    return [offer.partition("\t")[0] for offer in complete(shell, line)]


def test_names_are_kept_until_the_batchfile_changes(batch: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert words("p plan odd:a") == ["odd:a b ", "odd:a'c "]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pydoit_sc.commands.gather", None)  # not asked again
        assert words("p plan odd:a") == ["odd:a b ", "odd:a'c "]
        assert words("p submit --engine lo") == ["local "]
        assert words("p status --status=inc") == ["--status=incomplete "]
    batch.edit("a'c", "aa")
    assert words("p plan odd:a") == ["odd:a b ", "odd:aa "]
    batch.edit('"aa"', '"aa", nonsense')
    assert words("p plan odd:a") == []
    assert words("p pla") == ["plan "]
    (kept,) = (batch.folder / "cache/pydoit-sc").iterdir()
    os.utime(kept, (0, 0))
    assert words("p plan -f none.toml x") == []
    assert not kept.exists()
    (kept,) = (batch.folder / "cache/pydoit-sc").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_values_are_those_that_the_command_takes(batch: Box) -> None:
    batch.edit(
        'x = ["a b", "a\'c", "日本"]',
        'x = ["a"], Day = { from = 2022-03-05, to = 2022-03-08, every = "1 day" }',
    )
    batch.edit('name = "{x}"', 'name = "{x}-{Day.start}"')
    batch.edit("true {x}", "true {x} {Day.start}")
    columns = ["name ", "seconds ", "memory ", "m.start ", "x ", "Day.start "]
    assert words("p results --columns ") == columns
    assert words("p results --columns x,D") == ["x,Day.start "]
    assert "status_code " in words("p summarize-batch --columns ")
    assert words("p results --status o") == []
    for command in ("summarize-batch", "clean"):
        assert words(f"p {command} --status o") == ["orphaned "]


def test_names_that_files_have_are_read_again_when_those_change(batch: Box) -> None:
    batch.edit('x = ["a b", "a\'c", "日本"]', 'x = { csv = "x.csv" }, y = { glob = "data/*.txt" }')
    batch.edit('name = "{x}"', 'name = "{x.n}-{y.stem}"')
    batch.edit("true {x}", "true {x.n} {y}")
    batch.write("x.csv", "n\n1\n")
    batch.write("data/a.txt", "")
    assert words("p plan odd:") == ["odd:1-a "]
    batch.write("data/b.txt", "")
    assert words("p plan odd:") == ["odd:1-a ", "odd:1-b "]
    batch.write("x.csv", "n\n1\n22\n")
    assert words("p plan odd:2") == ["odd:22-a ", "odd:22-b "]


def test_the_batch_that_is_named(batch: Box, tmp_path: Path) -> None:
    other = batch.write("other/batchfile.toml", HEAD + '[runs.other]\ncmd = "true"\n')
    assert words(f"p plan -f {other} oth") == ["other "]
    assert words(f"p plan {other} oth") == ["other "]
    assert words("p plan -f nope.toml mon") == []
    batch.write("cmds.txt", "true\n")
    assert words("p plan cmds.txt --to out runs:b") == ["runs:b5bea41b6c62 "]
    assert words("p plan -f - runs:b") == []
    os.chdir(tmp_path / "other")
    assert words("p plan ") == ["other "]
    os.chdir(batch.folder)


def test_what_bash_inserts(batch: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n\"'><=;|&(:")
    assert words("p plan odd:a", "bash") == ["a\\ b ", "a\\'c "]
    assert words("p plan 'odd:a", "bash") == ["odd:a b", "odd:a'\\''c"]
    assert words('p plan "odd:a', "bash") == ["odd:a b", "odd:a'c"]
    assert words("p plan odd:a\\ ", "bash") == ["a\\ b "]
    assert words("p plan odd:日", "bash") == ["日本 "]
    assert words("p status --format=j", "bash") == ["json "]
    assert words("p plan mon", "bash") == ["month ", "month:"]


def test_a_tab_is_quick(box: Box) -> None:
    """Of 10,000 runs; it takes 0.04 s of processor time, and a busy machine may take some times that."""
    box.batchfile(
        HEAD + '[runs.a]\ncmd = "true {x}"\nname = "{x}"\nmatrix = { x = { range = [0, 10000] } }\n'
    )
    command = [str(PROGRAMS / "pydoit-sc"), "tabcompletion", "--complete", "bash", "pydoit-sc plan a:99"]
    env = {**box.env, "XDG_CACHE_HOME": str(box.folder / "cache"), "COMP_WORDBREAKS": ":"}
    took = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=box.folder, env=env, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.stdout.count("\t") == 11
    assert min(took[1:]) < 0.4
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=box.folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert "pydoit_sc.commands.completion" in imported
    assert not {"doit", "pydantic", "tomli", "dataclasses"} & {
        line.rpartition("|")[2].strip() for line in imported.splitlines()
    }


class Interactive(Window):
    """A shell that a person types into."""

    def __init__(self, box: Box, *shell: str, setup: str) -> None:
        super().__init__(100)
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *shell],
            cwd=box.folder,
            env={
                **box.env,
                "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
                "TERM": "xterm",
                "HOME": str(box.folder),
                "XDG_CONFIG_HOME": str(box.folder),
                "XDG_DATA_HOME": str(box.folder),
                "ZDOTDIR": str(box.folder),
            },
            stdin=self.file,
            stdout=self.file,
            stderr=self.file,
        )
        self.type(f"{setup}; echo is ready\r", "is ready")

    def __enter__(self) -> Interactive:
        return self

    def type(self, keys: str, shown: str) -> None:
        """Type, and wait until a line ends so."""
        os.write(self._ours, keys.encode())
        until(lambda: bool(self.read(0.05)) >= 0 and any(line.endswith(shown) for line in self.lines()))

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        super().__exit__()


SHELLS = {
    "bash": (["bash", "--norc", "-i"], "PS1='$ '; source <(pydoit-sc tabcompletion bash)"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='$ '; autoload -Uz compinit; compinit -D -u; source <(pydoit-sc tabcompletion zsh)",
    ),
    "fish": (["fish", "--no-config", "-i"], "pydoit-sc tabcompletion fish | source"),
}


@pytest.mark.parametrize(
    "shell", ["bash", *(pytest.param(shell, marks=pytest.mark.slow) for shell in ("zsh", "fish"))]
)
def test_a_shell_completes(batch: Box, shell: str) -> None:
    command, setup = SHELLS[shell]
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    with Interactive(batch, *command, setup=setup) as terminal:
        terminal.type("pydoit-sc summ\t", "pydoit-sc summarize-batch")
        terminal.type("--form\tj\t", "pydoit-sc summarize-batch --format json")
        terminal.type("\x15pydoit-sc plan month:2003-0\t", "plan month:2003-0")
        terminal.type("7\t--ch\t", "pydoit-sc plan month:2003-07 --check")
        terminal.type("\x15pydoit-sc plan odd:a\\ \t", "pydoit-sc plan odd:a\\ b")
        terminal.type("\x15pydoit-sc plan mo\t:2004-1\t2 \t", "pydoit-sc plan month:2004-12")


#: A name that a shell would execute, leave its quotes for, or take for a part of its history.
HOSTILE = """m$(touch PWN)`touch PWN`"'; touch PWN; !touch \\ $HOME x"""


@pytest.mark.parametrize(
    "shell", ["bash", *(pytest.param(shell, marks=pytest.mark.slow) for shell in ("zsh", "fish"))]
)
@pytest.mark.parametrize("quote", ["", "'", '"'], ids=["plain", "single", "double"])
def test_a_shell_inserts_a_name_that_stands_for_itself(batch: Box, shell: str, quote: str) -> None:
    command, setup = SHELLS[shell]
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    batch.edit('"日本"', json.dumps(HOSTILE))
    with Interactive(batch, *command, setup=f"{setup}; touch PWN; rm PWN") as terminal:
        terminal.type(f"pydoit-sc plan {quote}odd:m\t", f" x{quote}")
        terminal.type("\r", f"odd:{HOSTILE}  incomplete: no outcome yet")
    assert not (batch.folder / "PWN").exists()
