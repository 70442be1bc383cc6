"""Lists of commands, from a file and from standard input."""

from __future__ import annotations

import pytest

from tests.conftest import HEAD, Box

LIST = "\ufeff# commands\r\n\r\necho a >> log\r\necho b >> log; test -e fixed\r\necho a >> log"


@pytest.fixture
def listed(box: Box) -> Box:
    """A list of three commands, one of them twice, of which one fails; its folder is not the one where it is used."""
    box.write("lists/cmds.txt", LIST)
    return box


def test_a_list_is_executed_here_and_known_by_its_commands(listed: Box) -> None:
    batch = ("lists/cmds.txt", "--to", "out")
    done = listed("run", *batch, "-n", "2")
    assert (done.code, done.err) == (1, "")
    assert "2 completed, 1 failed" in done.out
    assert ": status code 1\n    $ echo b >> log; test -e fixed\n" in done.out
    assert listed.executed() == ["a", "a", "b"]  # in this folder, not in that of the list
    assert sorted(path.name for path in listed.folder.iterdir()) == ["lists", "log", "out"]
    listed.write("fixed", "")
    listed.write("lists/cmds.txt", "echo c >> log\n" + LIST.replace("commands", "more"))
    done = listed(*batch)
    assert (done.code, done.out.splitlines()[0]) == (
        0,
        "2 of 4 runs to execute: 1 no outcome yet, 1 failed before",
    )
    assert listed.executed() == ["b", "c"]
    listed.write("lists/cmds.txt", "echo b >> log; test -e fixed\necho a >> log\n")
    assert listed.ok(*batch) == "all 2 runs are up to date\n"


def test_standard_input(listed: Box) -> None:
    line = "printf '%s\\n' {1..6} | sed 's/.*/echo & >> log/' | pydoit-sc run - --to out"
    first = listed.shell(line)
    assert (first.code, first.err) == (0, "")
    assert "6 completed" in first.out
    assert listed.executed() == list("123456")
    again = listed.shell(line.replace("1..6", "0..6"))
    assert again.out.startswith("1 of 7 runs to execute")
    assert listed.executed() == ["0"]
    assert sorted(path.name for path in listed.folder.iterdir()) == ["lists", "log", "out"]


def test_the_end_of_a_run_names_the_batch(listed: Box) -> None:
    done = listed.shell("printf 'false\nexit 3\n' | pydoit-sc run - --to out")
    assert "  … | pydoit-sc run -f - --to out --like runs:" in done.out
    listed.write("lists/cmds.txt", "false\nexit 3\n")
    again = listed("failures", "lists/cmds.txt", "--to", "out").out
    assert "  pydoit-sc run -f lists/cmds.txt --to out --group 1" in again


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("printf 'true\\nx\\377\\n' | pydoit-sc - --to out", "standard input:2:2: not UTF-8 at byte 6 (0xff)"),
        ("pydoit-sc run - --to out <&-", "standard input: "),
        ("echo true | pydoit-sc plan - --to out x:1", "standard input: no run or stage is named `x:1`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_standard_input(listed: Box, line: str, answer: str) -> None:
    assert answer in listed.shell(line).refused()
    assert not (listed.folder / "out").exists()


def test_every_command_reads_standard_input(listed: Box) -> None:
    for command, answer in {
        "list --all": "runs:",
        "submit --engine local --wait": "2 completed",
        "summarize-batch --status completed": "completed    0",
    }.items():
        word, *rest = command.split()
        done = listed.shell(
            f"printf 'true\\nfalse || true\\n' | pydoit-sc {word} - --to out {' '.join(rest)}"
        )
        assert done.code == 0, done
        assert answer in done.out


def test_a_list_by_process_substitution(listed: Box) -> None:
    assert "2 completed" in listed.shell("pydoit-sc run <(echo true; echo 'echo a >> log') --to out").out
    assert listed.executed() == ["a"]


def test_names_from_a_column(listed: Box) -> None:
    listed.write("jobs.tsv", "id\tcmd\nfirst\techo a >> log\nsecond\techo b >> log\n")
    batch = ("jobs.tsv", "--names", "id", "--to", "out")
    listed.ok("run", *batch, "runs:second")
    assert listed.executed() == ["b"]
    assert listed.out("second/status_code") == "0"
    assert (
        listed.ok("plan", *batch).splitlines()[1]
        == "  runs:first  incomplete: no outcome yet  $ echo a >> log"
    )


def test_a_list_in_a_batchfile(listed: Box) -> None:
    listed.batchfile(HEAD + 'runs_from = "lists/cmds.txt"\nretries = 1\n')
    listed()
    assert listed.executed() == ["a", "a", "b", "b"]
