"""doit's own commands over runs: `list`, `info`, `clean`, `forget`, `ignore`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import termios
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

import fsspec
import pytest
from doit.cmd_list import List as DoitList

from pydoit_sc.batch import Run, Stage
from pydoit_sc.commands.stock import ListCommand
from pydoit_sc.project import Project
from pydoit_sc.store.claims import Claims
from pydoit_sc.tasks import listing
from pydoit_sc.tasks.listing import in_turn, parts_of
from pydoit_sc.tasks.loader import BatchfileLoader
from pydoit_sc.tasks.program import run_program
from pydoit_sc.tasks.tasks import RunTask
from tests.conftest import HEAD, STAGES, Box
from tests.starts import PROGRAMS


def test_list(stages: Box) -> None:
    assert stages.ok("list") == "a   3 runs\nb   echo b >> log\n"
    stages.ok("a:1")
    status = "R a     3 runs\nU a:1   echo a:1 >> log; cat in\nR a:2"
    assert stages.ok("list", "--all", "--status").startswith(status)
    assert stages.ok("list", "--all", "--status", program="doit").startswith(status)
    stages.ok()
    assert {line[0] for line in stages.ok("list", "--all", "--status").splitlines()} == {"U"}
    assert stages.ok("list", "a", "--all", "-q").split() == ["a", "a:1", "a:2", "a:3"]
    assert stages.ok("list", "a:*", "-q").split() == ["a:1", "a:2", "a:3"]


@pytest.mark.parametrize(
    "template",
    ["{nme}", "{name", "{}", "{name:d}", "{name.x}", "{status}", "{name!z}", "{name.__class__}", "{doc[0]}"],
)
def test_a_template_of_list_that_cannot_be_filled(stages: Box, template: str) -> None:
    said = stages("list", "--template", template).refused()
    assert f"--template: expected {{name}}, {{doc}}, and with -s {{status}}, found `{template}`\n" in said
    assert stages.ok("list", "--template", "{name}|{status}", "-s", "b") == "b|R\n"


def test_list_shows_the_file_dep_of_runs(stages: Box) -> None:
    stages.edit('["in"]', '["in", "data/{x}.*"]')
    assert stages.ok("list", "--deps", "-q", "a:1", "b") == "a:1   \n -  in\n -  data/1.*\n\nb     \n\n"


@pytest.mark.parametrize("words", [["--deps"], ["-q"], ["--template", "{name}"]], ids=" ".join)
def test_list_has_one_form(stages: Box, words: list[str]) -> None:
    assert "expected one form, found --json and --" in stages("list", "--json", *words).refused()
    stages.write("doit.cfg", "[list]\nquiet = yes\n")
    assert stages.ok("list", "--json").startswith("[")


LISTED = """\
[batch]
remote_output_path = "out"
[runs.a]
cmd = "x {n}"
name = "{n}"
matrix = { n = [1, 10, 2] }
[runs.a-b]
cmd = "y {n}"
name = "{n}"
matrix = { n = [2, 1] }
[runs.b]
cmd = "z"
"""


@pytest.mark.parametrize("words", [
    "", "--all", "-q --all", "--all a", "--sort definition b a:2 a:1", "a:2 b a:1", "a a-b:2", "--all -s", "--all --deps",
])  # fmt: skip
def test_list_is_that_of_doit(
    box: Box, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box.batchfile(LISTED)
    monkeypatch.chdir(box.folder)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    def shown(command: type[DoitList]) -> str:
        lister = command(task_loader=BatchfileLoader(), config={}, bin_name="doit")
        assert lister.parse_execute(words.split()) == 0
        return capsys.readouterr().out

    assert shown(ListCommand) == shown(DoitList)


def test_the_tasks_of_a_long_list_are_made_one_by_one(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "x {n}"\nmatrix = { n = { range = [0, 300] } }\n')
    monkeypatch.chdir(box.folder)
    project, made = Project.load(), list[str]()

    def make(project: Project, stage: Stage, run: Run) -> RunTask:
        made.append(run.name)
        return RunTask(project, stage, run)

    monkeypatch.setattr(listing, "RunTask", make)
    some = islice(in_turn(project, parts_of(project.batch.stages, with_runs=True), by_name=True), 4)
    assert [task.name for task in some] == ["a", "a:0", "a:1", "a:10"]
    assert made == ["0", "1", "10"]


def test_info_says_why(stages: Box) -> None:
    new = stages("info", "a:1")
    assert (new.code, new.err) == (1, "")
    assert "incomplete: no outcome yet" in new.out
    stages.ok()
    assert "status     : up-to-date" in stages.ok("info", "a:1", program="doit")
    stages.edit('"echo b', '"echo  b')
    stages.write("in", "2")
    assert "stale: a file_dep has changed" in stages("info", "a:1").out
    assert "stale: the command has changed" in stages("info", "b", program="doit").out
    assert "3 of 3 runs to execute" in stages("info", "a").out
    assert f"file://{stages.folder}/out/a/1/status_code" in stages("info", "a:1", program="doit").out


def test_info_agrees_with_the_plan(box: Box) -> None:
    """Also of what comes after something that has yet to be executed, and of what is left out."""
    chain = "".join(f'[runs.{b}]\ncmd = "true"\nafter = ["{a}"]\n' for a, b in ("ab", "bc"))
    box.batchfile(f'{HEAD}[runs.a]\ncmd = "cat f"\nfile_dep = ["f"]\nmatrix = {{ x = [1] }}\n{chain}')
    box.write("f", "1")
    box.ok()
    for name in ("a", "a:1", "b", "c"):
        assert "status     : up-to-date\n" in box.ok("info", name)
    box.write("f", "2")
    for name, reason in {
        "a": "1 of 1 runs to execute",
        "a:1": "stale: a file_dep has changed",
        "b": "stale: an earlier run is to be executed: a:1",
        "c": "stale: an earlier run is to be executed: b",
    }.items():
        done = box("info", name)
        assert (done.code, done.err) == (1, "")
        assert f"status     : run\n * {reason}\n" in done.out
        assert name[0] == "a" or reason in box("plan", name).out
    box.ok("ignore", "a:1")
    assert "status     : ignore\n * stale: ignored; a file_dep has changed\n" in box.ok("info", "a:1")
    assert "status     : up-to-date\n" in box.ok("info", "a")
    box.ok("ignore", "c")
    assert "status     : ignore\n * completed: ignored; up to date\n" in box.ok("info", "c")
    assert "status  " not in box.ok("info", "--no-status", "c")
    assert "status     : up-to-date\n" in box.ok("info", "b")


def test_clean(stages: Box) -> None:
    stages.ok()
    stages.ok("-a", "a:1")
    before = stages.tree()
    dry = stages.ok("clean", "-n", "a:1")
    assert dry == f"a:1 - removing file://{stages.folder}/out/a/1\n"
    assert stages.tree() == before
    assert stages.ok("clean", "a:1", program="doit") == dry
    assert stages.tree() == [path for path in before if not path.startswith("a/1/")]
    for words in (["a:1"], ["-n", "a:1"]):  # nothing is there any more
        assert stages.ok("clean", *words) == stages.ok("clean", *words, program="doit") == ""
    assert list((stages.folder / "out/.pydoit_sc/history").glob("*/*")) == []
    stages.ok("clean", "a:*")
    assert stages.tree() == ["b/run.json", "b/status_code", "b/stderr", "b/stdout"]
    stages.ok("clean", "-a", program="doit")
    assert stages.tree() == []
    stages.executed()
    stages.ok("a:1", "a:2")
    stages.ok("forget", "a:2")
    said = "".join(
        f"a:{n} - removing file://{stages.folder}/out/a/{n}\n" for n in (2, 1)
    )  # a history is something
    assert stages.ok("clean", "-n", "-a") == stages.ok("clean", "-a") == said
    stages.executed()
    stages.ok()
    assert len(stages.executed()) == 4


def test_only_outputs_of_runs_are_replaced_and_removed(stages: Box) -> None:
    one = HEAD + '[runs.a]\ncmd = "echo one"\n[runs.c]\ncmd = "echo c"\n'
    stages.ok()
    before = stages.tree()
    stages.batchfile(one)  # the output of `a` would take the place of `a/1` …
    assert "its place has `1`, `2`, `3`, which is of no run" in stages.ok("plan")
    ran = stages(program="doit")
    assert ran.code == 2
    assert "1 run was not started: its place has `1`" in ran.out
    assert "c/status_code" in stages.tree()
    assert "a: its place has `1`" in stages("submit", "--engine", "local").refused()
    cleaned = stages("clean", "-a")
    assert (cleaned.code, "out/a has `1`, `2`, `3`" in cleaned.err) == (2, True)
    assert cleaned.out == f"c - removing file://{stages.folder}/out/c\n"
    forgotten = stages("forget", "a")
    assert (forgotten.code, forgotten.out, "out/a has `1`" in forgotten.err) == (2, "", True)
    assert stages.tree() == before
    assert "removed by `pydoit-sc clean --status orphaned`" in ran.out
    stages.batchfile(STAGES)
    stages.executed()
    stages.ok()
    assert stages.executed() == []


def test_outputs_in_the_place_of_a_run_of_a_stage_with_fewer_axes_are_orphaned(box: Box) -> None:
    stage = '[runs.load]\ncmd = "echo {d}"\nname = "{d}/{m}"\nmatrix = { d = [1, 2], m = ["a", "b"] }\n'
    box.batchfile(HEAD + stage)
    box.ok()
    box.batchfile(HEAD + stage.replace("/{m}", "").replace(', m = ["a", "b"]', ""))
    assert box("run").code == 2
    keys = [f"load/{d}/{m}" for d in (1, 2) for m in "ab"]
    removed = "".join(f"removing file://{box.folder}/out/{key}\n" for key in keys)
    assert box.ok("clean", "--status", "orphaned", "--all") == removed
    box.ok()
    box.batchfile(HEAD + '[runs.load]\ncmd = "echo"\n')
    assert box("run").code == 2
    assert box.ok("clean", "--status", "orphaned", "--all").count("removing") == 2
    box.ok()


def test_what_lies_beside_an_outcome_keeps_its_run_from_being_executed(stages: Box) -> None:
    stages.edit("cat in", "cat in; test {x} != 2")
    stages.edit('after = ["a"]', "after = []")
    stages("--quiet")
    stages.executed()
    for run in ("a/2", "a/3", "b"):
        stages.write(f"out/{run}/notes.txt", "mine")
    said = "its place has `notes.txt`, which is of no run, and stays as it is"
    assert f"a:2  error: {said}" in stages.ok("plan")
    assert "a:3" not in stages.ok("plan")  # it is up to date, and is not replaced
    assert f"error: {said}" in stages("info", "a:2").out
    refused = stages("submit", "--engine", "local").refused()
    assert f"a:2: {said}" in refused
    for words in ([], ["a"], ["a:2"], ["-r", "console"]):
        ran = stages("run", *words)
        assert (ran.code, said in ran.out and "a:2" in ran.out) == (2, True), ran
        assert stages.executed() == []
    always = stages.ok("plan", "-a")
    assert [
        f"{run}  {why}: {said}" in always for run, why in (("a:2", "error"), ("a:3", "stale"), ("b", "stale"))
    ] == [True] * 3
    assert "a:1  stale: forced" in always
    assert stages("run", "-a").code == 2
    assert stages.executed() == ["a:1"]
    stages.edit("cat in", "cat in in")
    assert f"a:3  stale: {said}" in stages.ok("plan")
    assert stages().code == 2
    assert stages.executed() == ["a:1"]
    for run in ("a/2", "a/3"):
        (stages.folder / "out" / run / "notes.txt").unlink()
    stages()
    assert stages.executed() == ["a:2", "a:3"]
    assert stages.out("b/notes.txt") == "mine"


def test_forget_goes_on_where_something_else_has_taken_a_place(stages: Box) -> None:
    stages.ok()
    shutil.rmtree(stages.folder / "out/a/2")
    stages.write("out/a/2/mine", "")
    done = stages("forget", "a")
    assert (done.code, stages.tree()) == (
        2,
        ["a/2/mine", *(path for path in stages.tree() if path[0] == "b")],
    )
    assert "out/a/2 has `mine`, which is of no run" in done.err
    assert done.out == "forgetting a\nforgetting a:1\nforgetting a:3\n"


@pytest.mark.parametrize("program", ["pydoit-sc", "doit"])
def test_what_is_left_is_not_told_as_done(stages: Box, program: str) -> None:
    stages.batchfile(HEAD + '[runs.a]\ncmd = "true"\n[runs.c]\ncmd = "true"\nmatrix = { x = [1, 2] }\n')
    for place in ("a", "c/1"):
        stages.write(f"out/{place}/mine", "")
    cleaned = stages("clean", "a", "c", program=program)
    assert "a - " not in cleaned.out
    assert "c:1 - " not in cleaned.out
    if program == "pydoit-sc":
        assert (cleaned.code, cleaned.out) == (2, "")
        assert (stages("forget", "a").out, stages("forget", "a", "c:1").out) == ("", "")
        assert stages("forget", "a", "c").out == "forgetting c\nforgetting c:2\n"


def test_runs_inside_the_output_of_another_one(stages: Box) -> None:
    stages.batchfile(HEAD + '[runs.a]\ncmd = "echo one"\n')
    stages.ok()
    before = stages.tree()
    stages.batchfile(STAGES)
    assert "it would lie inside the output of another run, `a`" in stages.ok("plan")
    assert stages().code == 2
    assert stages.executed() == []
    assert stages.tree() == before


def test_clean_leaves_a_users_own_folder(stages: Box) -> None:
    (stages.folder / "data").mkdir()
    (stages.folder / "data/mine.csv").write_text("1")
    stages.batchfile('[batch]\nremote_output_path = "file://."\n[runs.data]\ncmd = "echo"\n')
    assert "1 run was not started: its place has `mine.csv`" in stages().out
    for program in ("pydoit-sc", "doit"):
        assert "/data has `mine.csv`" in stages("clean", "data", program=program).err
    assert (stages.folder / "data/mine.csv").exists()


def test_a_place_that_is_taken_meanwhile_stops_no_other_run(stages: Box) -> None:
    runs = '[runs.a]\ncmd = "mkdir -p out/a && touch out/a/mine"\n[runs.b]\ncmd = "true"\nafter = []\n'
    stages.batchfile(HEAD.replace("nprocs = 2", "nprocs = 1") + runs)
    ran = stages()
    assert (ran.code, stages.tree()[0], "b/status_code" in stages.tree()) == (2, "a/mine", True)
    assert "out/a has `mine`, which is of no run, and stays as it is" in ran.out


def test_forget_keeps_the_output_as_history(stages: Box) -> None:
    stages.ok()
    assert stages.ok("forget", "a:2") == "forgetting a:2\n"
    assert not (stages.folder / "out/a/2").exists()
    history = stages.folder / "out/.pydoit_sc/history/a/2"
    assert [(run / "stdout").read_text() for run in history.iterdir()] == ["1"]
    stages.executed()
    stages.ok("a")
    assert stages.executed() == ["a:2"]
    stages.ok("forget", "a", program="doit")
    stages.ok("a")
    assert stages.executed() == ["a:1", "a:2", "a:3"]
    assert "name the runs or stages" in stages("forget").refused()
    stages.ok("forget", "--all", program="doit")
    assert stages.tree() == []


@pytest.mark.parametrize("words", [("forget", "a"), ("forget", "--all"), ("clean", "a")])
def test_many_outputs_on_an_object_store_are_changed_side_by_side_under_one_lease(
    stages: Box, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(stages.folder)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)  # which the loader sets for a program
    url = f"memory://{stages.folder.name}-{words[0]}-{len(words[1])}"
    memory = fsspec.filesystem("memory")
    root = url.removeprefix("memory:/")
    for key in ("a/1", "a/2", "a/3"):
        for name in ("stdout", "stderr", "run.json", "status_code"):
            memory.pipe_file(f"{root}/{key}/{name}", b"0")
    both = threading.Barrier(3)
    real = Claims.check_ours

    def check_ours(claims: Claims, key: str, files: Iterable[str]) -> None:
        both.wait(60)
        real(claims, key, files)

    monkeypatch.setattr(Claims, "check_ours", check_ours)
    assert run_program([words[0], "--remote-output-path", url, *words[1:]]) == 0
    left = [path.removeprefix(f"{root}/") for path in memory.find(root)]
    assert len([path for path in left if path.startswith(".pydoit_sc/leases/")]) == 1
    assert not [path for path in left if path.startswith("a/")]
    kept = [path for path in left if path.startswith(".pydoit_sc/history/")]
    assert len(kept) == (12 if words[0] == "forget" else 0)


def test_ignore_until_that_is_undone(stages: Box) -> None:
    stages.edit('after = ["a"]\n', "")
    assert stages.ok("ignore", "a:2") == "ignoring a:2\n"
    stages.ok()
    assert stages.executed() == ["a:1", "a:3", "b"]
    assert "I a:2" in stages.ok("list", "--all", "--status", program="doit")
    stages.ok("ignore", "--undo", "a:2")
    stages.ok()
    assert stages.executed() == ["a:2"]


def test_ignore_is_honoured_and_shown_by_every_command(stages: Box) -> None:
    stages.ok("a:1")
    stages.ok("ignore", "a:1", "a:2")
    assert stages.ok("plan").startswith("2 of 2 runs to execute: 2 no outcome yet; 2 more are ignored\n  a:3")
    assert "a:1" not in stages.ok("plan", "-a")
    assert "ignored; up to date" in stages("summarize-batch", "--format", "json").out
    assert "ignored; no outcome yet" in stages("info", "a:2").out
    submitted = stages.ok("submit", "--engine", "local", "--wait")
    assert submitted.startswith("2 runs left out, as `ignore` says\nsubmitted ")
    assert sorted(stages.executed()) == ["a:1", "a:3", "b"]
    assert (
        stages.ok("plan") == "all 2 runs are up to date; 2 more are ignored\n"
    )  # also for the worker's digest
    stages.ok("-a")
    assert sorted(stages.executed()) == ["a:3", "b"]
    assert stages.ok("plan", "a:2") == "1 run is ignored\n"
    stages.ok("ignore", "a", "b", program="doit")
    stages.edit("[1, 2, 3]", "[1, 2, 3, 4]")
    assert stages.ok().startswith("5 runs are ignored\n")
    assert (
        stages.ok("submit", "--engine", "local")
        == "5 runs left out, as `ignore` says\nnothing to execute, nothing submitted\n"
    )


def test_clean_of_everything_is_asked_for(stages: Box) -> None:
    stages.ok()
    before = stages.tree()
    for program in ("pydoit-sc", "doit"):
        said = stages("clean", program=program).refused()
        assert "clean: name the runs or stages, or -a for all outputs and their history" in said
    for words in (
        ["clean", "--all", "--status", "error"],
        ["clean", "--all", "a:1"],
        ["forget", "-a", "a:1"],
    ):
        assert "found both" in stages(*words).refused()
    assert "a:1 - removing" in stages.ok("clean", "--dry-run")
    assert stages.tree() == before
    assert _on_a_terminal(stages, "clean", answer="\n").endswith(
        "remove all outputs of the batch, and their history? [y/N] "
    )
    assert stages.tree() == before
    assert "a:1 - removing" in _on_a_terminal(stages, "clean", answer="y\n")
    assert stages.tree() == []


def _on_a_terminal(box: Box, *words: str, answer: str) -> str:
    """Return what a command writes on a terminal on which it is answered."""
    ours, its = os.openpty()
    with os.fdopen(ours, "rb", 0) as terminal:
        attributes = termios.tcgetattr(its)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(its, termios.TCSANOW, attributes)
        os.write(ours, answer.encode())
        subprocess.run(
            [PROGRAMS / "pydoit-sc", *words],
            cwd=box.folder,
            env=box.env,
            stdin=its,
            stdout=its,
            stderr=its,
            check=False,
            timeout=60,
        )
        os.close(its)
        shown = b""
        with suppress(OSError):  # at its end
            while block := terminal.read(1 << 16):
                shown += block
    return shown.decode().replace("\r\n", "\n")


def test_moved_positions_are_told(stages: Box) -> None:
    def batch(*names: str) -> None:
        stages.batchfile(HEAD + "".join(f'[[runs]]\ncmd = "echo {name}"\n' for name in names))

    batch("x", "y")
    assert "without a name" not in stages.ok()
    batch("new", "x", "y")
    strange = "2 runs without a name are where another command was (first `0`)"
    assert f"warning: {strange}" in stages.ok("plan")
    for words in (["run"], ["run", "runs"], ["submit", "--engine", "local", "--wait"]):
        assert strange in stages(*words).refused()
    stages.ok("submit", "--engine", "local", "--wait", "--moved")
    batch("x", "y", "z")
    assert strange.replace("2", "3") in stages(program="doit").refused()
    stages.ok("--moved", program="doit")
    assert stages.ok() == "all 3 runs are up to date\n"
    batch("y", "z")
    for words in (["run"], ["run", "runs"], ["submit", "--engine", "local", "--wait"]):
        assert strange in stages(*words).refused()
    batch("z")  # its outcome lies beyond the end
    warning = "warning: 1 run without a name is where another command was (first `0`)"
    assert warning in stages.ok("plan")
    assert warning.removeprefix("warning: ") in stages("run").refused()


@pytest.mark.parametrize("command", ["clean", "forget", "ignore", "info", "list", "plan", "logs"])
def test_unknown_names(stages: Box, command: str) -> None:
    assert "did you mean `a:1`?" in stages(command, "a:11").refused()


def test_clean_of_what_no_run_has_any_more(stages: Box) -> None:
    stages.ok()
    stages.edit("x = [1, 2, 3]", "x = [1]")
    stages.write("out/mine/notes", "")
    refused = stages("clean", "--status", "orphaned").refused()
    assert (
        refused
        == "ERROR: clean: 2 outputs that no run of the batch has: --all removes them, --dry-run shows them\n"
    )
    said = "".join(f"removing file://{stages.folder}/out/a/{n}\n" for n in (2, 3))
    assert stages.ok("clean", "--status", "orphaned", "--dry-run") == said
    assert sorted(os.listdir(stages.folder / "out/a")) == ["1", "2", "3"]
    assert stages.ok("clean", "--status", "orphaned", "--all") == said
    assert os.listdir(stages.folder / "out/a") == ["1"]
    assert stages.ok("clean", "--status", "orphaned", "--all").startswith("no output matches")
    assert (stages.folder / "out/mine/notes").exists()


def test_no_name_in_the_store_makes_a_line_of_its_own(stages: Box) -> None:
    stages.ok()
    stages.write("out/a/1/results/x\na:2: y", "")
    stages.write("out/old\nremoving z/status_code", "0")
    verified = stages("verify", "a:1")
    assert verified.out == "a:1: results/x\\na:2: y: not of the attempt\n"
    removed = stages.ok("clean", "--status", "orphaned", "--dry-run")
    assert removed.endswith("/old\\nremoving z\n") and removed.count("\n") == 1
    stages.write("out/a/1/status_code", "1")
    stages.write("out/a/1/b\nc", "")
    assert "`b\\nc`" in stages("info", "a:1").out
    assert "`b\\nc`" in stages("plan", "--all").out
