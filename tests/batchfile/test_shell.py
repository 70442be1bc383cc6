"""A value arrives in a command as one word, wherever it may stand; elsewhere its placeholder is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pydoit_sc.batchfile.matrix import Combinations
from pydoit_sc.batchfile.template import parse, render_command
from tests.batchfile.conftest import Problems
from tests.batchfile.test_matrix import stage

#: What each of these would make if it were read as a part of the command.
HOSTILE = ["$(: > pwned)", "`: > pwned`", "; : > pwned;", "\n: > pwned\n", "'; : > pwned; '", '"; : > pwned; "',
           "\\'; : > pwned #", "x\nE\n: > pwned\n", "a[$(: > pwned)]", ") : > pwned; (", "} : > pwned", "2", "E", "1,2", "$x"]  # fmt: skip

PARTS = ["'", '"', "\\", "`", "$(", "(", ")", "$((", "((", "))", "${x:-", "${x", "}", "{", " # ", "#", "\n", " <<E\n", "\nE\n",
         " <<-'E'\n", "\n\tE\n", " <<E ", "<<< ", " ", " x ", "; ", "case x in x) ", ";; esac", "$", "$'", "$[", "1 ", ",", "|", "&& ",
         ">", "&", "={", "\\\n", "if ", "\r", "~", "*"]  # fmt: skip


def refusal(cmd: str, value: str = "it is") -> str:
    try:
        written(cmd, value)
    except ValueError as error:
        return str(error)
    return ""


def written(cmd: str, value: str) -> str:
    columns = {"a": [0], "b": [0]}
    combinations = Combinations(("a", "b"), {"a": [value], "b": ["it's"]}, columns, 1, 0)
    (text,) = render_command(parse(cmd), combinations)
    return text


@pytest.mark.parametrize(
    ("cmd", "where"),
    [
        ("cat <<E\n{a}\nE", "in a here-document, or after one"),
        ("cat <<E\n$(\nE\n) {a}", "in a here-document, or after one"),
        ("cat <<{a}", "after `<<`"),
        ("echo $(( {a} ))", "inside `((…))`"),
        ("echo $((1 + (2 * {a})))", "inside `((…))`"),
        ("echo ${{x:-{a}}}", "inside `${…}`"),
        ('echo "${{x:-{a}}}"', "inside `${…}`"),
        ("echo \\{a}", "after a backslash"),
        ('echo "\\{a}"', "after a backslash"),
        ("echo ${a}", "after `$`"),
        ("echo `echo {a}`", "inside backquotes"),
        ("echo x # {a}", "in a comment"),
        ("echo x;#{a}", "in a comment"),
        ("echo {{{a},2}}", "inside braces"),
        ("echo $'it\\'s' {a}", "after `$'`, which only some shells know"),
        ("echo $(case x in x) echo {a};; esac)", "after `case` inside `(…)`"),
        ("echo {b!s} {a}", 'after a raw value such as "it\'s"'),
    ],
)
def test_where_no_quoting_is_safe_a_placeholder_is_refused(cmd: str, where: str) -> None:
    said = refusal(cmd)
    assert said.startswith(
        f"`{{a}}` stands {where}, where a value cannot be quoted; begin the command with `a={{a}};`"
    )
    assert refusal(cmd, "safe") == said  # whatever the values are today
    assert not refusal(cmd.replace("{a}", "{a!s}"))


@pytest.mark.parametrize(
    "cmd",
    ["echo $((1 + 2)) {a}", "cat <<E {a}\n$x\nE\necho {a}", "cat <<-'E'\n\t$(\n\tE\necho {a}", "x;# it's\n{a}", "echo x#{a}",
     "echo '#' {a}", 'echo "$(( 1 ))$(echo {a})"', "f() {{ echo {a}; }}", "echo ${{x#y}} {a}", "case {a} in x) echo {a};; esac",
     "awk '{{print $1}}' {a}", "echo {a} > {a}", "x={a}; echo $(( x ))", "echo 'a'{a}\"b\"", "[[ {a} == {a} ]]"],
)  # fmt: skip
def test_a_plain_place_is_not_refused(cmd: str) -> None:
    assert not refusal(cmd)


def test_a_number_before_a_redirection() -> None:
    assert "`{a}` stands before `>`, where the shell takes a number, here 2, for a descriptor" in refusal(
        "echo {a}>x", "2"
    )
    assert not refusal("echo {a}>x", "b")
    assert not refusal("echo {a} >x", "2")


def test_the_message_has_the_place(problems: Problems) -> None:
    (said,) = problems(stage('a = ["x"]', "echo $(( {a} ))"))
    assert said.startswith("batchfile.toml:4:1: runs.s.cmd: `{a}` stands inside `((…))`")


def check(folder: Path, before: str, behind: str, value: str) -> None:
    """Execute a command that was not refused; `show` tells the words that it gets."""

    def literal(text: str) -> str:
        return text.replace("{", "{{").replace("}", "}}")

    try:
        text = written(f"{literal(before)}show {{a}} {literal(behind)}", value)
    except ValueError:
        return
    for shell in ("/bin/sh", "/bin/bash"):
        for path in folder.iterdir():
            path.unlink()
        head = 'show() { printf "%s\\0" "$#" "$@" >> shown; }\n'
        subprocess.run(
            [shell, "-c", head + text],
            check=False,
            cwd=folder,
            env={"PATH": ""},
            capture_output=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        assert not (folder / "pwned").exists(), (shell, text)
        shown = folder / "shown"
        if shown.exists():
            words = shown.read_bytes().decode().split("\0")
            assert words[1] == value, (shell, text)


def fuzz(folder: Path, most: int) -> None:
    parts = st.lists(st.sampled_from(PARTS), max_size=7).map("".join)

    @settings(max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(parts, parts, st.sampled_from(HOSTILE))
    @example("", ">x", "2")
    @example("cat <<E\n", "\nE\n", "x\nE\n: > pwned\n")
    @example("# ", "", "\n: > pwned\n")
    def run(before: str, behind: str, value: str) -> None:
        check(folder, before, behind, value)

    run()


def test_a_value_is_one_word(tmp_path: Path) -> None:
    fuzz(tmp_path, 100)


@pytest.mark.slow
def test_a_value_is_one_word_whatever_stands_around_it(tmp_path: Path) -> None:
    fuzz(tmp_path, 4000 if "PYDOIT_SC_NIGHTLY" in os.environ else 500)
