"""`shell`: how it is read, what becomes of it, and what a value in a command may be quoted for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pydoit_sc.batch import Run
from pydoit_sc.batchfile import BatchfileError, load
from pydoit_sc.errors import UserError
from pydoit_sc.shells import check_shell, command_line

BASH = '["bash", "-euo", "pipefail", "-c"]'


def read(folder: Path, batch: str = "", stage: str = "", cmd: str = "x", matrix: str = "") -> Run:
    text = f"[batch]\nremote_output_path = '/o'\n{batch}\n[runs.s]\ncmd = '''{cmd}'''\n{stage}\n{matrix}"
    (folder / "batchfile.toml").write_text(text)
    return load(folder / "batchfile.toml").stages[0].runs[0]


def problem(folder: Path, **parts: str) -> str:
    with pytest.raises(BatchfileError) as caught:
        read(folder, **parts)
    (found,) = caught.value.problems
    return str(found).partition("batchfile.toml:")[2].partition(": ")[2]


def execute(shell: tuple[str, ...], cmd: str, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command_line(shell, cmd),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **env},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("batch", "stage", "shell"),
    [
        ("", "", ()),
        ('shell = "bash"', "", ("bash", "-c")),
        (f"shell = {BASH}", "", ("bash", "-euo", "pipefail", "-c")),
        ('shell = "bash"', 'shell = "dash"', ("dash", "-c")),
        ('shell = "bash"', 'shell = "sh"', ()),  # so that it is what it was before there was the key
        ("", 'shell = ["/bin/sh", "-c"]', ()),
    ],
)
def test_the_narrower_table_wins(tmp_path: Path, batch: str, stage: str, shell: tuple[str, ...]) -> None:
    assert read(tmp_path, batch, stage).settings.shell == shell


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("3", "expected a shell, or a list of its words, found 3"),
        ('["bash", 3]', "expected a shell, or a list of its words, found a list"),
        ('"bash -c"', 'a shell with options is a list of its words: ["bash", "-c"]'),
        ('""', 'expected the name of a shell, found ""'),
        ('["-c"]', 'expected the name of a shell, found "-c"'),
        ('"ba\\u0000sh"', 'expected a shell without control characters, found "ba\\u0000sh"'),
    ],
)
def test_what_is_no_shell(tmp_path: Path, written: str, said: str) -> None:
    assert problem(tmp_path, stage=f"shell = {written}") == f"runs.s.shell: {said}"


def test_a_list_of_runs_has_shells_too(tmp_path: Path) -> None:
    (tmp_path / "jobs.json").write_text(
        '{"remote_output_path": "/o", "runs": [{"cmd": "a", "shell": "bash"}, {"cmd": "b"}]}'
    )
    first, second = load(tmp_path / "jobs.json").stages[0].runs
    assert (first.settings.shell, second.settings.shell) == (("bash", "-c"), ())


@pytest.mark.parametrize("shell", [(), ("bash", "-c"), ("bash", "-euo", "pipefail", "-c"), ("dash", "-ec")])
def test_a_shell_gets_the_command_as_it_is(shell: tuple[str, ...]) -> None:
    assert execute(shell, """printf '%s|' "a  b" 'it'"'"'s' $((1+1)); exit 7""") == (7, "a  b|it's|2|", "")
    assert execute(shell, "-x 2>/dev/null || echo no option")[1:] == ("no option\n", "")


def test_the_options_of_a_shell_hold() -> None:
    assert execute(("bash", "-c"), "false | true; echo $UNSET [[ ]]") == (0, "[[ ]]\n", "")
    assert execute(("bash", "-euo", "pipefail", "-c"), "false | true; echo no") == (1, "", "")
    assert execute(("python3", "-c"), "import sys; print(sys.argv)")[:2] == (0, "['-c']\n")


def test_a_shell_is_found_in_the_path_of_the_run(tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.write_text("#!/bin/sh\necho mine: $2\n")
    own.chmod(0o755)
    assert execute(("mine", "-c"), "cmd", PATH=str(tmp_path)) == (0, "mine: cmd\n", "")
    check_shell("a", ("mine", "-c"), {"PATH": str(tmp_path)})
    check_shell("a", (), {"PATH": ""})
    with pytest.raises(
        UserError, match="a: its shell `mine` is not there, it is in no folder of PATH; install"
    ):
        check_shell("a", ("mine", "-c"), {})
    with pytest.raises(UserError, match="its shell `/no/mine` is not there, no such program; install"):
        check_shell("a", ("/no/mine", "-c"), {})


def test_a_shell_that_is_not_there_is_a_failure_as_shells_have_it(tmp_path: Path) -> None:
    code, out, err = execute(("no-such-shell", "-c"), "echo x")
    assert (code, out) == (127, "")
    assert "no-such-shell: not found" in err
    assert execute((str(tmp_path), "-c"), "echo x")[0] == 126


ONE = 'matrix = { x = ["a b"], y = ["c"] }'


@pytest.mark.parametrize("shell", ['"bash"', BASH, '["/usr/local/bin/ksh", "-ec"]'])
def test_a_value_is_quoted_for_shells_like_sh(tmp_path: Path, shell: str) -> None:
    assert read(tmp_path, f"shell = {shell}", cmd="echo {x}", matrix=ONE).cmd == "echo 'a b'"


@pytest.mark.parametrize("shell", ['"python"', '"zsh"', '"fish"', '["bash", "-x"]', '["nice", "bash", "-c"]'])
def test_a_value_cannot_be_quoted_for_another_shell(tmp_path: Path, shell: str) -> None:
    said = problem(tmp_path, stage=f"shell = {shell}", cmd="print({x!s}, {y})", matrix=ONE)
    assert said.startswith("runs.s.cmd: `{y}` cannot be quoted for the shell `")
    assert said.endswith('; pass it in the environment, `env = { Y = "{y}" }`, or write `{y!s}`')
    assert read(tmp_path, f"shell = {shell}", cmd="print({x!s})", matrix=ONE).cmd == "print(a b)"


def test_a_command_without_a_matrix_is_literal_for_every_shell(tmp_path: Path) -> None:
    assert read(tmp_path, 'shell = "python"', cmd="print({1: 2})").cmd == "print({1: 2})"
