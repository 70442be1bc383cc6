"""`run`, with nothing but the batchfile changed between one time and the next."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import HEAD, Box

ALL = ["a:1", "a:2", "a:3", "b"]


def test_everything_then_nothing(stages: Box) -> None:
    out = stages.ok()
    assert out.splitlines()[0] == "4 of 4 runs to execute: 4 no outcome yet"
    assert re.fullmatch(r"4 completed, in \d:\d\d", out.splitlines()[-1])
    assert stages.executed() == ALL
    assert stages.tree() == [
        f"{run}/{file}"
        for run in ("a/1", "a/2", "a/3", "b")
        for file in ("run.json", "status_code", "stderr", "stdout")
    ]
    assert [stages.out(f"a/{x}/status_code") for x in (1, 2, 3)] == ["0"] * 3
    assert stages.out("a/1/stdout") == "1"
    before = stages.tree()
    assert stages.ok() == "all 4 runs are up to date\n"
    assert stages.executed() == []
    assert stages.tree() == before


@pytest.mark.parametrize(
    ("old", "new", "reason", "executed"),
    [
        pytest.param('"echo b >> log"', '"echo b >> log "', "the command has changed", ["b"], id="command"),
        pytest.param(
            'after = ["a"]', 'after = ["a"]\nenv = { X = "1" }', "env has changed", ["b"], id="env of one"
        ),
        pytest.param("nprocs = 2", 'nprocs = 2\nenv = { X = "1" }', "env has changed", ALL, id="env of all"),
        pytest.param("nprocs = 2", 'nprocs = 2\nshell = "bash"', "shell or env has changed", ALL, id="shell"),
        pytest.param("nprocs = 2", 'nprocs = 2\nshell = "sh"', "", [], id="the shell that it was"),
        pytest.param(
            "nprocs = 2", "nprocs = 1\ntimeout = 9\nretries = 1", "", [], id="no part of an outcome"
        ),
        pytest.param("[1, 2, 3]", "[1, 2, 3, 4]", "no outcome yet", ["a:4", "b"], id="one more"),
        pytest.param("[1, 2, 3]", "[1, 3]", "the earlier runs have changed", ["b"], id="one less"),
    ],
)
def test_an_edit_executes_what_depends_on_it(
    stages: Box, old: str, new: str, reason: str, executed: list[str]
) -> None:
    stages.ok("-q")
    stages.executed()
    stages.edit(old, new)
    assert reason in stages.ok()
    assert stages.executed() == executed


def test_an_edit_of_one_command_in_a_list(box: Box) -> None:
    box.batchfile(
        HEAD + "".join(f'[[runs]]\nname = "{x}"\ncmd = "echo {x} >> log"\n' for x in ("p", "q", "r"))
    )
    box.ok()
    box.executed()
    box.edit('"echo q >> log"', '"echo q >>log"')
    assert box.ok().startswith("1 of 3 runs to execute: 1 the command has changed\n")
    assert box.executed() == ["q"]


def test_a_file_dep_executes_its_dependants(stages: Box) -> None:
    stages.ok()
    stages.executed()
    stages.write("in", "1")  # newer, and the same
    stages.ok()
    assert stages.executed() == []
    stages.write("in", "2")
    out = stages.ok()
    assert out.startswith(
        "4 of 4 runs to execute: 3 a file_dep has changed, 1 an earlier run is to be executed: a:1"
    )
    assert stages.executed() == ALL
    assert stages.out("a/3/stdout") == "2"
    history = stages.folder / "out/.pydoit_sc/history/a/3"
    assert [(folder / "stdout").read_text() for folder in history.iterdir()] == ["1"]


def test_a_deleted_status_code_executes_exactly_its_run(stages: Box) -> None:
    stages.edit('after = ["a"]\n', "")
    stages.ok()
    stages.executed()
    (stages.folder / "out/a/2/status_code").unlink()
    stages.ok()
    assert stages.executed() == ["a:2"]
    stages.ok()
    assert stages.executed() == []


def test_failures_exit_with_1_and_are_tried_again(failing: Box) -> None:
    done = failing()
    assert (done.code, done.err) == (1, "")
    assert "failed a:2: status code 7\n    oops\n" in done.out
    assert "2 completed, 1 failed, in" in done.out
    assert failing.executed() == ["a:1", "a:2", "a:3"]
    assert failing.out("a/2/status_code") == "7"
    again = failing()
    assert again.code == 1
    assert again.out.startswith("1 of 3 runs to execute: 1 failed before\n")
    assert failing.executed() == ["a:2"]
    failing.write("code", "0")
    assert "1 completed, 2 skipped" in failing.ok()
    assert failing.executed() == ["a:2"]
    failing.ok()
    assert failing.executed() == []


@pytest.mark.parametrize(
    ("words", "executed"),
    [
        (["a:2"], ["a:2"]),
        (["a:2", "a:3", "a:2"], ["a:2", "a:3"]),
        (["a"], ["a:1", "a:2", "a:3"]),
        (["a", "a:1"], ["a:1", "a:2", "a:3"]),
        (["a:*"], ["a:1", "a:2", "a:3"]),
        (["*3"], ["a:3"]),
        (["b"], ALL),
        (["a:1", "b"], ALL),
        (["-s", "b"], ["b"]),
        (["file://{out}/a/1/status_code"], ["a:1"]),
        (["file://{out}/a/2", "a:1"], ["a:1", "a:2"]),
        (["-n", "1", "a:1"], ["a:1"]),
        (["a:1", "-n", "1"], ["a:1"]),
        (["x=1"], ALL),
    ],
    ids=" ".join,
)
def test_names(stages: Box, words: list[str], executed: list[str]) -> None:
    words = [word.format(out=stages.folder / "out") for word in words]
    stages.ok(*words, program="doit" if len(words) % 2 else "pydoit-sc")
    assert stages.executed() == executed


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("zzz", "the batch has `a`, `b`"),
        ("a:11", "did you mean `a:1`?"),
        ("c*", "the batch has `a`, `b`"),
        ("sumarize", "did you mean `summarize-batch`?"),
        ("paln", "did you mean `plan`?"),
        ("file://elsewhere/status_code", "no run, stage or command"),
    ],
)
def test_unknown_names(stages: Box, word: str, answer: str) -> None:
    assert answer in stages(word).refused()
    assert not (stages.folder / "out").exists()
    assert stages.executed() == []


def test_a_command_of_ours_given_to_doit(stages: Box) -> None:
    assert "`plan` is a command of `pydoit-sc`" in stages("plan", program="doit").refused()


def test_always(stages: Box) -> None:
    stages.ok()
    stages.executed()
    assert stages.ok("-a", "a:1", "a:3").startswith("2 of 2 runs to execute: 2 forced")
    assert stages.executed() == ["a:1", "a:3"]
    stages.ok("-a")
    assert stages.executed() == ALL


def test_failures_are_told_by_kind_and_at_the_end(failing: Box) -> None:
    """The first of each kind in full, then a count with the command for those of the kind."""
    failing.edit("[1, 2, 3]", "{ range = [1, 40] }")
    failing.edit("test {x} != 2 || exit $(cat code)", "test {x} -lt 3 || {{ echo no {x} >&2; exit 5; }}")
    done = failing("-n", "1")
    assert done.code == 1
    assert done.out.count("failed a:") == 1
    *_, last = done.out.splitlines()
    assert last == "37 × exit 5  no 3  e.g. a:3  pydoit-sc run --like a:3"
    assert (
        failing("run", "-q", "-n", "1", "--like", "a:9", "--limit", "3").out.splitlines()[-1]
        == "3 × exit 5  no 3  e.g. a:3  pydoit-sc run --like a:3"
    )


def test_quiet_shows_failures_only(failing: Box) -> None:
    assert failing("-q").out == "failed a:2: status code 7\n    oops\n"
    failing.write("code", "0")
    assert failing.ok("--quiet") == ""


def test_no_continue(failing: Box) -> None:
    failing.edit("[1, 2, 3]", "{ range = [1, 40] }")
    failing.edit("nprocs = 2", "nprocs = 1")
    failing.edit("durable = false", "durable = true")
    done = failing("--no-continue")
    assert done.code == 1
    assert len(failing.executed()) <= 3  # its rank was given on already
    assert "stopped after 1 failure (--no-continue)\n" in done.out


def test_json_reporter(failing: Box) -> None:
    done = failing("-r", "json", "-n", "1")
    tasks = {task["name"]: task["result"] for task in json.loads(done.out)["tasks"]}
    assert tasks == {"a:1": "success", "a:2": "fail", "a:3": "success"}
    failing.write("code", "0")
    tasks = {task["name"]: task["result"] for task in json.loads(failing.ok("-r", "json"))["tasks"]}
    assert tasks == {"a:1": "up-to-date", "a:2": "success", "a:3": "up-to-date"}


@pytest.mark.parametrize(
    ("reporter", "first", "second"),
    [
        ("console", ".  a:1\n.  a:2\n.  a:3\n.  b\n", "-- a:1\n-- a:2\n-- a:3\n-- b\n"),
        ("executed-only", ".  a:1\n.  a:2\n.  a:3\n.  b\n", ""),
        ("zero", "", ""),
        ("error-only", "", ""),
    ],
)
def test_reporters_of_doit(stages: Box, reporter: str, first: str, second: str) -> None:
    assert stages.ok("-n", "1", "-r", reporter) == first
    assert stages.ok("-r", reporter) == second
    assert stages.executed() == ALL


def test_output_file(failing: Box) -> None:
    done = failing("-o", "report.txt")
    assert (done.code, done.out, done.err) == (1, "", "")
    assert "failed a:2: status code 7" in (failing.folder / "report.txt").read_text()


def test_output_file_counts_from_where_the_user_is(stages: Box) -> None:
    there = stages.folder / "there"
    there.mkdir()
    stages.ok("-f", "../batchfile.toml", "-o", "report.txt", cwd=there)
    assert "4 completed" in (there / "report.txt").read_text()
    assert stages.executed() == ALL


def test_what_a_run_finds_in_its_environment(box: Box) -> None:
    box.batchfile(
        HEAD.replace("nprocs", 'env = { A = "batch", B = "batch" }\nnprocs')
        + r"""
[runs.e]
cmd = '''echo "$A $B $C $SATURN_RUN_LOCAL_RANK $SATURN_RUN_REMOTE_OUTPUT_PATH" '{x}'
ls -A "$SATURN_RUN_LOCAL_RESULTS_DIR"; echo kept > "$SATURN_RUN_LOCAL_RESULTS_DIR/file"; cat; pwd'''
env = { B = "stage $HOME" }
"""
    )
    box.ok(C="mine")
    assert box.out("e/stdout") == f"batch stage $HOME mine 0 file://{box.folder}/out/e {{x}}\n{box.folder}\n"
    assert box.out("e/results/file") == "kept\n"


def test_provenance(failing: Box) -> None:
    failing()
    said = json.loads(failing.out("a/2/run.json"))
    assert said["status_code"] == 7
    assert said["retries"] == 0
    assert said["cmd"].startswith("echo a:2 >> log")


SHELLS = (
    HEAD
    + """
[runs.a]
cmd = "echo a >> log; [[ x == x ]] && false | true"
shell = ["bash", "-o", "pipefail", "-c"]

[runs.b]
cmd = "echo b >> log"
"""
)


def test_a_shell_of_ones_own(box: Box) -> None:
    box.batchfile(SHELLS)
    assert box().code == 1
    assert (box.out("a/status_code"), box.out("a/stderr"), box.out("b/status_code")) == ("1", "", "0")
    box.executed()
    box.edit('"-o", "pipefail", ', "")
    assert "1 of 2 runs to execute: 1 failed before" in box.ok()
    assert box.executed() == ["a"]


def test_a_shell_that_is_not_there_starts_nothing(box: Box) -> None:
    box.batchfile(SHELLS.replace('"bash"', '"no-bash"'))
    said = box().refused()
    assert (
        "a: its shell `no-bash` is not there, it is in no folder of PATH; install it, or give another `shell`"
        in said
    )
    assert box.executed() == []
    box.ok("b")  # which does not need it


def test_what_the_one_named_run_writes_passes_through(box: Box) -> None:
    cmd = (
        "echo begin; echo no >&2; while [ ! -e go ]; do sleep 0.02; done; printf 'end\\377'; exit $(cat code)"
    )
    box.batchfile(HEAD + f'[runs.a]\ncmd = {json.dumps(cmd)}\n[runs.b]\ncmd = "echo quick"\n')
    box.write("code", "0")
    with box.start("run", "a") as running:
        assert running.stdout is not None
        assert [running.stdout.readline() for _ in range(2)] == [
            "1 of 1 runs to execute: 1 no outcome yet\n", "begin\n",
        ]  # fmt: skip
        box.write("go", "")
        out, err = running.communicate(timeout=60)
    assert (out.startswith("end\udcff1 completed, in "), err) == (True, "no\n")
    box.write("code", "7")
    failed = box("run", "-a", "a")
    assert (failed.code, failed.err) == (1, "no\n")
    assert "begin\nend\udcfffailed a: status code 7\n1 failed, in " in failed.out
    assert "begin" not in box("run", "-q", "-a", "a").out
    assert "quick" in box.ok("run", "b")  # also of one that has ended before anybody looks
    assert "quick" not in box.ok("run", "b")
    assert "begin" not in box("run", "a", "b").out
    assert "begin" not in box("run").out


def test_figures_for_programs(failing: Box) -> None:
    done = failing("--json", "a")
    found = json.loads(done.out)
    assert done.code == 1
    assert found.pop("seconds") < 60
    assert found == {"completed": 2, "failed": 1, "skipped": 0, "not_executed": 0, "why": []}
    assert done.err.startswith("3 of 3 runs to execute: 3 no outcome yet\nfailed a:2: status code 7\n")
    done = failing("--json", "--quiet", "--status", "stale")
    assert (json.loads(done.out)["skipped"], done.code) == (0, 0)
    assert done.err == "no run matches --status stale: 3 runs, 2 completed, 1 error\n"
    for reporter in ("console", "json"):
        assert "with the reporter `batch`" in failing("--json", "-r", reporter).refused()
    assert "are those of runs" in failing("--json", "chunk:0").refused()


def test_figures_are_all_that_is_on_standard_output(failing: Box) -> None:
    """Also where what the one run writes is shown, or what a task of a dodo.py does."""
    cmd = "echo noise; echo oops >&2"
    failing.edit("echo oops >&2", cmd)
    for words in (["a:1"], ["-a", "a:1", "-v", "2"], ["-a", "a:1", "-o", "shown"], ["-a", "-q", "a:1"]):
        done = failing("run", "--json", *words)
        assert json.loads(done.out)["completed"] == 1
        assert ("noise\n" in done.err) is ("-q" not in words)
    failing.write("dodo.py", "def task_own():\n    return {'actions': [lambda: print('noise')]}\n")
    failing.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    done = failing("run", "--json", "-v", "2", program="doit")
    assert json.loads(done.out)["completed"] == 0
    assert "noise\n" in done.err


@pytest.mark.parametrize("option", ["--verbosity", "--failure-verbosity"])
@pytest.mark.parametrize("value", ["x", "3", "-1"])
def test_how_much_is_shown_is_one_of_three_numbers(stages: Box, option: str, value: str) -> None:
    assert (
        f"ERROR: {option}: expected one of 0, 1, 2, found `{value}`\n"
        in stages("run", f"{option}={value}").refused()
    )
    stages.ok("run", f"{option}=2")
