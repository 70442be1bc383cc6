"""The words that say which runs a command is about, on every command that takes runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pydoit_sc.cli import main
from pydoit_sc.commands import submit
from pydoit_sc.project import Project
from pydoit_sc.selection import parse_selection, select_to_execute
from tests.conftest import DOIT_CFG, HEAD, Box, until
from tests.test_selection import outcome, picked

__all__ = ["picked"]

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(picked: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The program, called in this process."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(picked.folder)
        code = main(list(words))
        return (code, *capsys.readouterr())

    return call


def test_what_shows_runs_shows_those(cli: Cli) -> None:
    code, out, err = cli("plan", "--status", "error", "--code", "1")
    assert (code, out.splitlines()[0], err) == (0, "3 of 3 runs to execute: 3 failed before", "")
    assert cli("plan", "--limit", "2")[1].splitlines()[1:] == [
        "  day:a_0  error: status code 1",
        "  day:a_1  error: status code 1",
    ]
    assert cli("status", "--group", "1") == (
        0,
        "day    2 runs: 2 failed\ntotal  2 runs: 2 failed\n",
        "group 1: 2 × exit 1  KeyError: 0\n",
    )
    assert cli("list", "--status", "completed", "--where", "model=a")[1].split("\n")[0].split() == [
        "day:a_3",
        "true",
        "a",
        "3",
    ]
    slowest = cli("list", "-q", "--slowest", "3")[1].split()
    assert slowest == ["day:a_2", "day:a_0", "day:a_1"]
    assert cli("list", "-s", "--slowest", "1")[1].split() == ["R", "day:a_2", "true", "a", "2"]
    assert [line[0] for line in cli("list", "--status")[1].splitlines()] == ["R", "R"]  # as in doit
    assert [line[0] for line in cli("list", "--status", "month")[1].splitlines()] == ["R"]
    code, _, err = cli("list", "--status", "ignored")
    assert code == 3
    assert (
        "no run or stage is named `ignored`; the batch has `day`, `month`; the statuses are completed, error, "
        in err
    )
    assert "the statuses" not in cli("list", "ignored")[2] + cli("list", "--status", "day", "ignored")[2]
    assert [line.split()[0] for line in cli("plan", "--slowest", "3")[1].splitlines()[1:]] == slowest
    assert [
        line.split()[0] for line in cli("plan", "--slowest", "3", "--limit", "2")[1].splitlines()[1:]
    ] == slowest[:2]
    rows = json.loads(cli("summarize-batch", "--slowest", "5", "--limit", "4", "--format", "json")[1])
    assert [row["name"] for row in rows] == [*slowest, "day:a_4"]
    rows = json.loads(cli("summarize-batch", "--code", "137", "--format", "json")[1])
    assert [row["name"] for row in rows] == ["day:b_0"]
    assert cli("verify", "--since", "1h")[2].startswith("5 of 5 runs are finished")


def test_failures_number_their_groups(cli: Cli) -> None:
    code, out, err = cli("failures", "--where", "model=a", "day")
    assert (code, err) == (0, "3 of 5 runs have failed\n")
    assert out.splitlines() == [
        "2 × exit 1  KeyError: 0  e.g. day:a_0  pydoit-sc run day --where model=a --group 1",
        "1 × exit 1  ValueError   e.g. day:a_2  pydoit-sc run day --where model=a --group 2",
    ]
    assert cli("failures", "--slowest", "2")[1].splitlines() == [
        "1 × exit 1  KeyError: 0  e.g. day:a_0  pydoit-sc run --group 1",
        "1 × exit 1  ValueError   e.g. day:a_2  pydoit-sc run --group 2",
    ]
    assert len(cli("failures", "--limit", "2")[1].splitlines()) == 1
    (second,) = json.loads(cli("failures", "--group", "2", "--format", "json")[1])
    assert (second["group"], second["runs"]) == (2, ["day:a_2"])


@pytest.mark.parametrize(
    "command",
    ["plan", "run", "submit --engine local", "list", "accept", "verify", "forget", "clean", "ignore"],
)
def test_nothing_matches_is_an_answer(cli: Cli, picked: Box, command: str) -> None:
    before = picked.tree()
    code, out, err = cli(*command.split(), "--status", "stale")
    assert (code, "no run matches --status stale: 13 runs, 2 completed, 4 error" in out + err) == (0, True)
    assert picked.tree() == before


def test_nothing_matches_is_empty_where_a_program_reads(cli: Cli) -> None:
    for command in ("failures", "summarize-batch"):
        code, out, err = cli(command, "--code", "9", "--format", "json")
        assert (code, json.loads(out)) == (0, [])
        assert "no run matches --code 9" in err
    assert json.loads(cli("status", "--code", "9", "--format", "json")[1])["stages"] == []


@pytest.mark.parametrize(
    "command",
    [
        "run", "plan", "status", "list", "results", "failures", "report", "logs", "fetch --to there", "debug", "history", "verify",
        "clean", "forget", "accept", "ignore", "submit --engine local", "summarize-batch --watch",
    ],
)  # fmt: skip
def test_outputs_without_a_run_are_no_runs(cli: Cli, picked: Box, command: str) -> None:
    picked.write("out/day/c_0/status_code", "0")
    for statuses in ("orphaned", "error,orphaned")[command == "clean" :]:
        code, out, err = cli(*command.split(), "--status", statuses)
        assert (code, out) == (3, "")
        assert "`pydoit-sc summarize-batch --status orphaned` lists them" in err
    rows = json.loads(cli("summarize-batch", "--json", "--status", "orphaned,stale")[1])
    assert [row["remote_output_path"] for row in rows] == [f"file://{picked.folder}/out/day/c_0"]


def test_mistakes_have_an_exit_code(cli: Cli) -> None:
    for command in ("plan", "run", "forget", "clean", "summarize-batch", "submit"):
        code, _, err = cli(command, "--code", "x")
        assert (code, err) == (3, "ERROR: --code: expected a number from 0 to 255, found `x`\n")


@pytest.mark.parametrize(
    "line",
    [
        "model=b", "run -a {}", "{} run", "plan", "status", "list", "info", "summarize-batch", "results", "failures", "report",
        "logs", "fetch --to there", "debug", "history", "reproduce", "verify", "clean --all", "clean", "forget --all", "forget",
        "accept --yes", "ignore", "submit --engine local",
    ],
)  # fmt: skip
def test_a_condition_without_its_option_is_a_mistake(cli: Cli, picked: Box, line: str) -> None:
    """doit takes `model=b` for a variable of its own: the command was then about all runs."""
    before = picked.tree()
    line = line if "{}" in line or "=" in line else f"{line} {{}}"
    code, out, err = cli(*line.format("model=b").split())
    assert (code, out) == (3, "")
    assert any(
        told in err for told in ("did you mean `--where model=b`?", "whole batch, or model=b, found both")
    )
    assert picked.tree() == before
    assert not (picked.folder / "report.html").exists()


def test_what_is_like_a_condition_and_of_no_axis(cli: Cli) -> None:
    assert "no run or stage is named `nprocs=1`; the batch has `day`, `month`" in cli("plan", "nprocs=1")[2]
    assert "did you mean `--where 'month>2012-01'`?" in cli("plan", "month>2012-01")[2]
    assert "there is no submission `model=b`" in cli("cancel", "model=b")[2]
    for command in ("scale", "pause", "resume", "submissions", "schema", "help", "tabcompletion"):
        code, _, err = cli(command, "x=1")
        assert (code, "x=1" in err) == (3, True)


@pytest.mark.parametrize(
    "words",
    [
        "--where model=b --where seed=1",
        "--where=model=b --where=seed=1",
        "--wher model=b day --wher=seed=1",
        "day:b_1",
    ],
)
def test_all_forms_of_a_condition(cli: Cli, words: str) -> None:
    assert cli("plan", *words.split())[1].splitlines()[1].split()[0] == "day:b_1"
    assert cli(*words.split(), "plan")[0] == 3  # there `plan` is the name of a run


def test_what_changes_runs_changes_those(cli: Cli, picked: Box) -> None:
    assert cli("ignore", "--like", "day:a_2")[1] == "ignoring day:a_2\n"
    assert (
        cli("plan", "--status", "error")[1].splitlines()[0]
        == "3 of 3 runs to execute: 3 failed before; 1 more is ignored"
    )
    assert cli("forget", "--group", "1") == (
        0,
        "forgetting day:a_0\nforgetting day:a_1\n",
        "group 1: 2 × exit 1  KeyError: 0\n",
    )
    before = picked.tree()
    assert cli("clean", "--dry-run", "--code", "137")[1].startswith("day:b_0 - removing")
    assert picked.tree() == before
    one = ("clean", "--dry-run", "--where", "month=2012-01-01")
    outcome(picked, "month/2012-01", 0)
    assert [line.split(" ")[0] for line in cli(*one)[1].splitlines()] == ["month:2012-01"]
    assert len(cli(*one, "--clean-dep")[1].splitlines()) == 7  # and what it comes after
    assert cli("clean", "month:2012-01")[0] == 0
    assert "day:b_0 - removing" in cli("clean", "--code", "137")[1]
    left = {path.split("/")[1] for path in picked.tree()}
    assert left == {"a_2", "a_3", "a_4"}


def test_what_executes_executes_those(picked: Box) -> None:
    picked.edit('cmd = "true {model} {seed}"', 'cmd = "echo {model} {seed} >> log"')
    for seed in (3, 4):
        outcome(picked, f"day/a_{seed}", 0)
    assert picked.ok("run", "--limit", "1", "day:b*").startswith("1 of 1 runs to execute")
    assert picked.executed() == ["b 0"]
    assert picked("submit", "--engine", "local", "--wait", "--group", "1").code == 0
    assert picked.executed() == ["a 0", "a 1"]
    picked.ok("--where", "model=b", "--where", "seed<3", "--status", "incomplete")
    assert picked.executed() == ["b 1", "b 2"]
    picked.write("doit.cfg", DOIT_CFG)
    picked.ok("--where=seed=4", "v=1", program="doit")  # there `v=1` is a variable
    assert picked.executed() == ["b 4"]
    assert picked.ok("run", "--limit", "9", "--where", "seed=4").startswith("all 2 runs are up to date")


def test_a_later_submission_has_the_runs_of_the_first(picked: Box) -> None:
    """What they were selected by holds no longer."""
    file = str(picked.folder / "batchfile.toml")
    parts = select_to_execute(Project.load(file), parse_selection({"statuses": "error"}))
    for seed in range(3):
        outcome(picked, f"day/a_{seed}", 0)
    again = submit._once_more(Project.load(file), parts)
    assert [run.key for stage in again for run in stage.runs] == ["day/a_0", "day/a_1", "day/a_2", "day/b_0"]


def test_tasks_of_a_dodo_are_not_selected_so(box: Box) -> None:
    box.write("dodo.py", "def task_a():\n    return {'actions': ['true']}\n")
    box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    assert "not the tasks of a dodo.py" in box("run", "--limit", "1", program="doit").refused()


def test_cancel_takes_runs_out_of_a_submission(box: Box) -> None:
    """Half a submission: the worker goes on with the rest, and a later submission has the runs again."""
    cmd = "echo {x} >> log; until [ -e go ]; do sleep 0.05; done"
    box.batchfile(
        HEAD.replace("nprocs = 2", "nprocs = 1")
        + f'[runs.a]\ncmd = "{cmd}"\nmatrix = {{ x = {{ range = [1, 7] }} }}\n'
    )
    box.ok("submit", "--engine", "local")
    until((box.folder / "log").exists)
    assert "there is no submission `nope`" in box("cancel", "nope").refused()
    assert box("cancel", "--code", "9").out.startswith("no run matches --code 9: 6 runs")
    said = box.ok("cancel", "a:[1-3]", "a:5")
    assert said.startswith("cancelled 4 runs of ")
    assert said.endswith(" (local): what is executing ends within its grace\n")
    until(lambda: "4" in (box.folder / "log").read_text().split())
    box.write("go", "")
    until(lambda: "ended" in box.ok("submissions"))
    assert box.executed() == ["1", "4", "6"]
    assert box("submit", "--engine", "local", "--wait").code == 0
    assert box.executed() == ["1", "2", "3", "5"]
