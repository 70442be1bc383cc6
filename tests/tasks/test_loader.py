"""`doit` itself, in a project folder and with a hand-written dodo.py."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.conftest import DOIT_CFG, STAGES, Box

EXAMPLE = Path(__file__).parents[2] / "examples/dodo"

PYPROJECT = """\
[tool.doit]
loader = "batchfile"

[tool.doit.plugins.command]
run = "pydoit_sc.cli:Run"
"""


@pytest.fixture(autouse=True)
def _doits_own_actions(box: Box) -> None:
    box.env["PYTHONWARNINGS"] = "error,ignore::ResourceWarning"  # doit leaves its actions' pipes open


@pytest.mark.parametrize(("file", "text"), [("doit.cfg", DOIT_CFG), ("pyproject.toml", PYPROJECT)])
def test_a_project_folder(box: Box, file: str, text: str) -> None:
    box.batchfile(STAGES)
    box.write("in", "1")
    box.write(file, text)
    assert box.ok(program="doit").startswith("4 of 4 runs to execute: 4 no outcome yet\n")
    assert box.executed() == ["a:1", "a:2", "a:3", "b"]
    assert box.ok(program="doit") == "all 4 runs are up to date\n"
    assert box.ok(program="pydoit-sc") == "all 4 runs are up to date\n"
    box.ok("-a", "a:1", "-n", "1", program="doit")
    assert box.executed() == ["a:1"]
    assert "there is no batchfile.toml" in box("list", program="doit", cwd=_bare(box, file, text)).refused()


def _bare(box: Box, file: str, text: str) -> Path:
    return box.write(f"bare/{file}", text).parent


def test_options_of_run_in_the_configuration(stages: Box) -> None:
    stages.write("doit.cfg", DOIT_CFG + "[run]\nnum_process = 0\n")
    assert "from 1 to 10,000, found `0`" in stages(program="doit").refused()
    stages.write("doit.cfg", DOIT_CFG + "[run]\nnum_process = 1\nreporter = console\n")
    assert stages.ok(program="doit") == ".  a:1\n.  a:2\n.  a:3\n.  b\n"


@pytest.mark.parametrize("program", ["doit", "pydoit-sc"])
def test_numbers_in_the_configuration(stages: Box, program: str) -> None:
    stages.edit("cat in", "exit 3")
    said = (
        "retries = 1\ntimeout = 60.5\nmax_failures = 1\nnum_process = 1\nwhere = ['x<3', 'x>1']\nlimit = 1\n"
    )
    stages.write("doit.cfg", "")
    stages.write("pyproject.toml", f"{PYPROJECT}\n[tool.doit.commands.run]\n{said}")
    assert stages(program=program).code == 1
    assert stages.executed() == ["a:2", "a:2"]


@pytest.mark.parametrize("command", ["plan", "list", "summarize-batch"])
def test_numbers_in_the_configuration_of(stages: Box, command: str) -> None:
    stages.write("doit.cfg", "")
    stages.write("pyproject.toml", f"[tool.doit.commands.{command}]\nlimit = 1\nsince = 60\n")
    done = stages(command)
    assert (done.code, "no run matches --since 60 --limit 1: " in done.out + done.err) == (0, True)


@pytest.mark.parametrize("program", ["doit", "pydoit-sc"])
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("retries = true", "`retries`: expected a text or a number, found true"),
        ("limit = [1]", "`limit`: expected a text or a number, found a list"),
        ("where = 3", "`where`: expected a list, found 3"),
        ("retries = 1.5", "--retries: expected an integer of at least 0, found `1.5`"),
        ("reporter = 'nope'", "--reporter: expected one of console,"),
        ("verbosity = 7", "--verbosity: expected one of 0, 1, 2, found `7`"),
        ("failure_verbosity = true", "--failure-verbosity: expected one of 0, 1, 2, found `True`"),
    ],
)
def test_what_the_configuration_may_say(stages: Box, program: str, said: str, answer: str) -> None:
    stages.write("doit.cfg", "")
    stages.write("pyproject.toml", f"{PYPROJECT}\n[tool.doit.commands.run]\n{said}\n")
    assert answer in stages(program=program).refused()


@pytest.mark.parametrize("program", ["doit", "pydoit-sc"])
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("doit.cfg", DOIT_CFG + "[run]\ncontinue = no\n"),
        ("doit.cfg", DOIT_CFG.replace("[GLOBAL]", "[GLOBAL]\ncontinue = no")),
        ("pyproject.toml", PYPROJECT + "\n[tool.doit.commands.run]\ncontinue = false\n"),
        pytest.param(
            "doit.cfg", "[GLOBAL]\nloader = batchfile\n[run]\ncontinue = no\n", marks=pytest.mark.slow
        ),
    ],
)
def test_the_configuration_says_whether_failures_stop_a_batch(
    box: Box, file: str, text: str, program: str
) -> None:
    box.batchfile(STAGES.replace("cat in", "test {x} != 1").replace("nprocs = 2", "nprocs = 1"))
    box.write("in", "1")
    box.write(file, text)
    assert box(program=program).code == 1
    assert box.executed() == ["a:1"]
    assert box("-c", program=program).code in (1, 2)  # 2: doit's own `run`, for b
    assert box.executed() == ["a:1", "a:2", "a:3"]


@pytest.mark.slow
def test_the_loader_with_doits_own_run(stages: Box) -> None:
    stages.write("doit.cfg", DOIT_CFG.partition("[COMMAND]")[0])
    stages.ok("a:1", program="doit")
    assert stages.executed() == ["a:1"]
    stages.ok(program="doit")
    assert stages.executed() == ["a:2", "a:3", "b"]
    assert stages.ok(program="doit").splitlines() == [
        f"-- {name}" for name in ("a:1", "a:2", "a:3", "a", "b")
    ]
    stages.write("in", "2")
    stages.ok("-n", "2", "-P", "thread", program="doit")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]
    stages.ok(program="doit")
    assert stages.executed() == []


DODO = """\
from pydoit_sc.tasks.tasks import batch_tasks

DOIT_CONFIG = {"backend": "json", "dep_file": ".doit.json"}


def task_before():
    return {
        "actions": ["echo before >> log; cp raw in"],
        "file_dep": ["raw"],
        "targets": ["in"],
        "params": [{"name": "x", "long": "x", "default": ""}],
    }


def task_batch():
    yield from batch_tasks(task_dep=["before"])


def task_behind():
    for name in ("p", "q"):
        yield {
            "name": name,
            "actions": [f"echo behind:{name} >> log; cat out/b/status_code > {name}"],
            "file_dep": ["out/a/1/stdout"],
            "task_dep": ["b"],
            "targets": [name],
        }
"""

EVERYTHING = ["a:1", "a:2", "b", "before", "behind:p", "behind:q"]


@pytest.fixture(params=["ours", pytest.param("stock", marks=pytest.mark.slow)])
def dodo(box: Box, request: pytest.FixtureRequest) -> Box:
    """A hand-written dodo.py, with our `run` or with doit's."""
    box.batchfile(STAGES.replace("[1, 2, 3]", "[1, 2]"))
    box.write("raw", "1")
    box.write("dodo.py", DODO)
    if request.param == "ours":
        box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    return box


def test_tasks_before_and_behind_a_batch(dodo: Box) -> None:
    dodo.ok(program="doit")
    assert dodo.executed() == EVERYTHING
    dodo.ok(program="doit")
    assert dodo.executed() == []
    dodo.write("raw", "2")
    dodo.ok(program="doit")
    assert dodo.executed() == EVERYTHING
    assert dodo.out("a/1/stdout") == "2"
    dodo.ok(program="doit")
    assert dodo.executed() == []
    (dodo.folder / "out/a/2/status_code").unlink()
    dodo.ok(program="doit")
    assert dodo.executed() == ["a:2", "b"]
    status = dodo.ok("list", "--all", "--status", program="doit")
    assert {line[0] for line in status.splitlines()} <= {"U", "R"}
    assert "U a:2" in status


@pytest.mark.parametrize(
    ("words", "executed"),
    [
        (["before", "--x", "1", "a:2", "a:1"], ["a:1", "a:2", "before"]),
        (["behind:p"], ["a:1", "a:2", "b", "before", "behind:p"]),
        (["file://{out}/a/1/status_code"], ["a:1", "before"]),
    ],
    ids=" ".join,
)
def test_selecting_some(dodo: Box, words: list[str], executed: list[str]) -> None:
    dodo.ok(*(word.format(out=dodo.folder / "out") for word in words), program="doit")
    assert dodo.executed() == executed


def test_a_failure_in_the_middle(dodo: Box) -> None:
    dodo.edit('cat in"', 'cat in; test {x} != 2"')
    done = dodo("-c", program="doit")
    assert done.code in (1, 2)
    assert dodo.executed() == ["a:1", "a:2", "before"]
    assert "Traceback" not in done.out + done.err
    dodo.edit("test {x} != 2", "true")
    dodo.ok(program="doit")
    assert dodo.executed() == ["a:1", "a:2", "b", "behind:p", "behind:q"]


@pytest.mark.parametrize("dodo", ["ours"], indirect=True)
def test_what_waits_for_a_task_that_has_failed_is_told_once(dodo: Box) -> None:
    dodo.edit('cat in"', 'cat in; test {x} != 2"')
    done = dodo("-c", "b", program="doit")
    assert (done.code, done.out.splitlines()[-1]) == (1, "1 incomplete: waits for a:2 (failed)")
    dodo.edit("test {x} != 2", "true")
    dodo.ok("a", program="doit")
    dodo.executed()
    dodo.edit("cp raw in", "exit 1", "dodo.py")
    dodo.write("raw", "2")
    done = dodo("-c", "b", program="doit")
    assert (done.code, dodo.executed()) == (1, ["before"])
    *_, figures, why = done.out.splitlines()  # a:1 and a:2 are up to date
    assert figures.startswith("2 skipped, 1 not executed, in ")
    assert why == "1 incomplete: waits for before (failed)"
    done = dodo("-c", "-r", "console", "b", program="doit")
    assert [line for line in done.out.splitlines() if "not started" in line] == [
        "`b` was not started: it waits for before (failed)"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dodo", ["stock"], indirect=True)
def test_doits_processes(dodo: Box) -> None:
    dodo.ok("-n", "2", program="doit")
    assert dodo.executed() == EVERYTHING
    dodo.write("raw", "2")
    dodo.ok("-n", "2", program="doit")
    assert dodo.executed() == EVERYTHING
    dodo.ok("-n", "2", "-a", program="doit")
    assert dodo.executed() == EVERYTHING


@pytest.mark.slow
@pytest.mark.parametrize("dodo", ["stock"], indirect=True)
def test_doits_processes_where_a_task_makes_the_batch(dodo: Box) -> None:
    dodo.edit(
        "def task_batch", '@create_after(executed="before", creates=["a", "b"])\ndef task_batch', "dodo.py"
    )
    dodo.edit("from pydoit_sc", "from doit import create_after\nfrom pydoit_sc", "dodo.py")
    dodo.ok("-n", "2", program="doit")
    assert dodo.executed() == EVERYTHING


@pytest.mark.parametrize("dodo", ["ours"], indirect=True)
def test_what_comes_before_a_delayed_task_is_not_known(dodo: Box) -> None:
    dodo.edit(
        "def task_batch", '@create_after(executed="before", creates=["a", "b"])\ndef task_batch', "dodo.py"
    )
    dodo.edit("from pydoit_sc", "from doit import create_after\nfrom pydoit_sc", "dodo.py")
    assert "--single: expected tasks that are known, found `b`" in dodo("-s", "b", program="doit").refused()
    assert dodo.executed() == []


def test_single_in_a_group(box: Box) -> None:
    box.batchfile(STAGES)
    box.write("in", "1")
    box.write("out/a/1/stdout", "")
    box.write("dodo.py", DODO)
    box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    box.write("out/b/status_code", "0")
    box.ok("-s", "behind", program="doit")
    assert box.executed() == ["behind:p", "behind:q"]


def test_a_bad_batchfile_in_a_dodo(dodo: Box) -> None:
    dodo.edit("file_dep", "file_depp")
    done = dodo(program="doit")
    assert (done.code, done.out) == (3, "")
    assert "did you mean `file_dep`?" in done.err


@pytest.mark.parametrize("dodo", ["ours"], indirect=True)
def test_batches_of_two_batchfiles_in_a_dodo(dodo: Box) -> None:
    dodo.write("two.toml", '[batch]\nremote_output_path = "out2"\n[runs.c]\ncmd = "echo c >> log"\n')
    dodo.edit(
        "def task_behind",
        'def task_two():\n    yield from batch_tasks("two.toml")\n\n\ndef task_behind',
        "dodo.py",
    )
    done = dodo(program="doit")
    assert "one batchfile" in done.refused()


@pytest.mark.parametrize("delayed", [False, True])
def test_options_in_place_of_the_batchfile_in_a_dodo(box: Box, delayed: bool) -> None:
    box.batchfile(STAGES.replace("cat in", "exit 3").replace("nprocs = 2", "nprocs = 1"))
    box.write("raw", "1")
    before = '@create_after(executed="before", creates=["a", "b"])\ndef task_batch'
    box.write(
        "dodo.py",
        "from doit import create_after\n"
        + DODO.replace("def task_batch", before if delayed else "def task_batch"),
    )
    box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    assert box("-c", "--retries", "2", "--max-failures", "1", "a", program="doit").code == 1
    first, *others, last = box.executed()  # of the runs of a group any may be the first
    assert (others, last) == ([first, first], "before")
    box.edit('"backend": "json"', '"backend": "json", "retries": 1', "dodo.py")
    assert box("a:2", program="doit").code == 1
    assert box.executed() == ["a:2", "a:2"]
    box.write("raw", "2")
    assert "--timeout: expected a duration" in box("--timeout", "soon", program="doit").refused()
    box.edit('"retries": 1', '"limit": 1', "dodo.py")
    assert "--limit 1: runs of a batchfile are selected so" in box(program="doit").refused()
    assert box.executed() == []


@pytest.mark.parametrize("run", ["ours", pytest.param("stock", marks=pytest.mark.slow)])
def test_the_example(box: Box, run: str) -> None:
    project = box.folder / "example"
    shutil.copytree(
        EXAMPLE, project, ignore=shutil.ignore_patterns("output", ".doit*", "*.txt", "cities.csv")
    )
    if run == "stock":
        (project / "doit.cfg").unlink()
    box.ok(program="doit", cwd=project)
    assert (project / "report.txt").read_text() == "6 visits\n"
    again = box.ok(program="doit", cwd=project)
    assert "\n.  " not in f"\n{again}"
    assert "to execute" not in again
    with (project / "data.csv").open("a") as file:
        file.write("Oslo,train\nLima,boat\n")
    box.ok(program="doit", cwd=project)
    assert (project / "output/city/Lima/stdout").read_text() == "1\n"
    assert (project / "report.txt").read_text() == "8 visits\n"


BARE_DODO = """\
from pydoit_sc.tasks.tasks import batch_tasks


def task_batch():
    yield from batch_tasks()


def task_mine():
    return {"actions": ["echo mine >> log"], "file_dep": ["in"]}
"""


@pytest.fixture(params=["ours", pytest.param("stock", marks=pytest.mark.slow)])
def bare(box: Box, request: pytest.FixtureRequest) -> Box:
    """A dodo.py without a word for doit's database, with our `run` or with doit's."""
    box.batchfile(STAGES)
    box.write("in", "1")
    box.write("dodo.py", BARE_DODO)
    if request.param == "ours":
        box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    return box


def test_no_check_of_files_is_needed(bare: Box) -> None:
    bare.ok(program="doit")
    assert bare.executed() == ["a:1", "a:2", "a:3", "b", "mine"]
    bare.ok(program="doit")
    assert bare.executed() == []
    assert bare.ok("list", "--all", "-s", "-q", program="doit").split()[::2] == ["U"] * 6
    bare.write("in", "2")
    bare.ok("a:1", "mine", program="doit")
    assert bare.executed() == ["a:1", "mine"]
    assert "R a:2" in bare.ok("list", "--all", "-s", program="doit")


@pytest.mark.parametrize("programs", [("doit", "pydoit-sc"), ("pydoit-sc", "doit"), ("doit", "doit")])
def test_ignore_and_forget_are_the_same_for_doit(bare: Box, programs: tuple[str, str]) -> None:
    one, other = programs
    bare.edit('after = ["a"]\n', "")
    assert bare.ok("ignore", "a:2", program=one) == "ignoring a:2\n"
    bare.ok(program=other)
    assert bare.executed() == ["a:1", "a:3", "b", *(["mine"] if other == "doit" else [])]
    assert "I a:2" in bare.ok("list", "--all", "-s", program="doit")
    assert bare.ok("forget", "a:2", "a:3", program=other) == "forgetting a:2\nforgetting a:3\n"
    assert (bare.folder / "out/a/1").exists()
    assert not (bare.folder / "out/a/3").exists()
    bare.ok("a", program=one)
    assert bare.executed() == ["a:3"]  # what is ignored stays so
    assert bare.ok("ignore", "--undo", "a:2") == "no longer ignored: a:2\n"
    bare.ok("a", program=one)
    assert bare.executed() == ["a:2"]
    bare.ok("forget", "a", program="doit")
    assert bare.tree() == ["b/run.json", "b/status_code", "b/stderr", "b/stdout"]


@pytest.mark.parametrize("program", ["doit", "pydoit-sc"])
def test_info_and_list_say_what_the_plan_says(bare: Box, program: str) -> None:
    bare.ok(program="doit")
    bare.write("in", "2")
    bare.ok("ignore", "a:2", "a:3")
    done = bare("info", "b", program=program)
    assert done.code == 1
    assert "stale: an earlier run is to be executed: a:1" in done.out
    shown = ["R a", "R a:1", "I a:2", "I a:3", "R b", *(["R mine"] if program == "doit" else [])]
    lines = bare.ok("list", "--all", "-s", program=program).splitlines()
    assert [" ".join(line.split()[:2]) for line in lines] == shown
    assert bare.ok("list", "-s", "b", program=program).startswith("R b")
    bare.ok("ignore", "a:1")
    assert bare.ok("info", "b", program=program)
    assert bare.ok("list", "-s", "b", program=program).startswith("U b")


@pytest.mark.parametrize("name", ["a", "a:1", "b"])
def test_commands_of_doit_that_mean_nothing_for_runs(bare: Box, name: str) -> None:
    assert (
        f"strace: expected a task of a dodo.py, found the batch's `{name}`"
        in bare("strace", name, program="doit").refused()
    )
    answer = bare("reset-dep", name, program="doit").refused()
    assert f"`pydoit-sc accept -f batchfile.toml {name}` takes outcomes as current" in answer
    assert bare.executed() == []
    assert bare.ok("reset-dep", "mine", program="doit") == "processed mine\n"


def test_a_task_executes_where_runs_have_been_published_anew(bare: Box) -> None:
    bare.edit("from pydoit", "from doit.tools import result_dep\nfrom pydoit", "dodo.py")
    with (bare.folder / "dodo.py").open("a") as file:
        for name in ("a", "b"):
            said = f'{{"actions": ["echo of-{name} >> log"], "uptodate": [result_dep("{name}")]}}'
            file.write(f"\n\ndef task_of_{name}():\n    return {said}\n")
    everything = ["a:1", "a:2", "a:3", "b", "mine", "of-a", "of-b"]
    bare.ok(program="doit")
    assert bare.executed() == everything
    bare.ok(program="doit")
    assert bare.executed() == []
    bare.write("in", "2")
    bare.ok("of_a", program="doit")
    assert bare.executed() == ["a:1", "a:2", "a:3", "of-a"]
    bare.ok(program="doit")
    assert bare.executed() == ["b", "mine", "of-b"]
    bare.ok("-a", "a:2")
    bare.executed()
    bare.ok("of_a", program="doit")
    assert bare.executed() == ["of-a"]


@pytest.mark.parametrize("bare", ["ours"], indirect=True)
def test_a_failure_is_not_forgotten(bare: Box) -> None:
    bare.edit("cat in", "exit 3")
    assert bare(program="doit").code in (1, 2)
    assert bare.out("a/1/status_code") == "3"
    assert bare.ok("ignore", "a", "mine", program="doit").splitlines()[-1] == "ignoring mine"
    bare.executed()
    bare.ok(program="doit")
    assert bare.executed() == ["b"]
    bare.ok("forget", "--all", program="doit")
    assert bare.tree() == []


MAKES_RUNS = """\
from doit import create_after
from pydoit_sc.tasks.tasks import batch_stages, batch_tasks

DOIT_CONFIG = {"backend": "json", "dep_file": ".doit.json"}


def task_names():
    return {"actions": ["echo names >> log; test ! -e bad && cp raw names.csv"], "file_dep": ["raw"], "targets": ["names.csv"]}


@create_after(executed="names", creates=batch_stages())
def task_batch():
    yield from batch_tasks(task_dep=["names"])


def task_behind():
    return {"actions": ["echo behind >> log"], "file_dep": ["out/b/stdout"], "task_dep": ["b"]}
"""


@pytest.fixture(params=["ours", pytest.param("stock", marks=pytest.mark.slow)])
def makes_runs(box: Box, request: pytest.FixtureRequest) -> Box:
    """A dodo.py in which a task makes the CSV file that says which runs there are."""
    axis = '{ n = { csv = "names.csv" } }'
    box.batchfile(
        STAGES.replace("{ x = [1, 2, 3] }", axis).replace("{x}", "{n.x}").replace('file_dep = ["in"]\n', "")
    )
    box.edit("cat in", "true")
    box.write("raw", "x\n1\n2\n")
    box.write("dodo.py", MAKES_RUNS)
    if request.param == "ours":
        box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    return box


def test_a_task_makes_the_csv_of_an_axis(makes_runs: Box) -> None:
    box = makes_runs
    box.ok("a:2", program="doit")
    assert box.executed() == ["a:2", "names"]
    box.ok(program="doit")
    assert box.executed() == ["a:1", "b", "behind"]
    box.write("raw", "x\n1\n2\n3\n")
    box.ok(program="doit")
    assert box.executed() == ["a:3", "b", "names"]
    box.ok(program="doit")
    assert box.executed() == []


@pytest.mark.parametrize("makes_runs", ["ours"], indirect=True)
@pytest.mark.parametrize("words", [["a:12"], ["a:1", "a:12"], ["names", "b:x"]], ids=" ".join)
def test_names_of_runs_that_there_are_not(makes_runs: Box, words: list[str]) -> None:
    answer = makes_runs(*words, program="doit").refused()
    assert f"batchfile.toml: no run or stage is named `{words[-1]}`; " in answer
    assert makes_runs.executed() == ["names"]


@pytest.mark.parametrize("makes_runs", ["ours"], indirect=True)
def test_the_task_that_makes_the_csv_fails(makes_runs: Box) -> None:
    box = makes_runs
    box.write("bad", "")
    done = box(program="doit")
    assert (done.code, box.executed()) == (1, ["names"])
    assert 'names.csv": no such file' in done.out
    assert "Traceback" not in done.out + done.err
    box.write("names.csv", "x\n1\n")  # an older one: its runs do not start either
    assert "\n2 incomplete: waits for names (failed)\n" in box(program="doit").out  # a:1 and b
    assert box.executed() == ["names"]


def test_what_a_task_of_the_user_has_started_is_left_alone(box: Box) -> None:
    box.batchfile(STAGES)
    box.write("in", "1")
    box.write("doit.cfg", "[COMMAND]\nrun = pydoit_sc.cli:Run\n")
    box.write(
        "dodo.py",
        "from pydoit_sc.tasks.tasks import batch_tasks\n"
        'DOIT_CONFIG = {"backend": "json", "dep_file": ".doit.json"}\n'
        "def task_batch():\n    yield from batch_tasks()\n"
        "def task_serve():\n"
        '    return {"actions": ["sleep 300 > log.serve 2>&1 & echo $! > pid"], "task_dep": ["a"]}\n',
    )
    box.ok("a", "serve", "b", program="doit")
    assert "b" in box.executed()
    os.kill(int((box.folder / "pid").read_text()), signal.SIGKILL)  # raises where it is gone


@pytest.mark.parametrize("bare", ["ours"], indirect=True)
def test_runs_of_a_batch_in_another_folder_start_there(bare: Box) -> None:
    bare.edit("batch_tasks()", 'batch_tasks("w/batchfile.toml", task_dep=["before"])', "dodo.py")
    (bare.folder / "batchfile.toml").unlink()
    twice = STAGES.replace("cat in", "cat in; test -e {x} || (touch {x}; exit 1)")
    bare.write("w/batchfile.toml", twice.replace("file_dep", "retries = 1\nfile_dep"))
    with (bare.folder / "dodo.py").open("a") as file:
        file.write('\n\ndef task_before():\n    return {"actions": ["cp in w/in"]}\n')
        file.write(
            '\n\ndef task_behind():\n    return {"actions": ["cat w/out/b/status_code >> log"], "task_dep": ["b"]}\n'
        )
    bare.ok(program="doit")
    assert bare.executed() == ["0", "mine"]
    assert sorted((bare.folder / "w/log").read_text().split()) == sorted([*2 * ["a:1", "a:2", "a:3"], "b"])
    assert (bare.folder / "w/out/a/1/stdout").read_text() == "1"
