"""A batchfile with a `[saturn]` table: `doit apply` does what has not been done, `submit` is all of it in one."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.saturn import recipe as recipe_files
from pydoit_sc.saturn.table import SaturnTable

from . import recipes
from .conftest import Cli

pytestmark = pytest.mark.slow

DOIT_CFG = "[GLOBAL]\nloader = batchfile\n[COMMAND]\nrun = pydoit_sc.cli:Run\n"
BATCH = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
scale = 2
batch_size = 2
durable = false

[runs.a]
cmd = "sh code/work.sh {x}"
matrix = { x = [0, 1, 2, 3, 4] }

[runs.b]
cmd = "echo b"
after = ["a"]

[saturn]
recipe = "job.yaml"
name = "weather"
sync = ["code", ".:all"]
exclude = ["*.big"]
file_syncs_base_dir_url = "file://base"
"""


@pytest.fixture
def project(cli: Cli, tmp_path: Path) -> Cli:
    """A project whose run 2 fails until there is a file `go` on the machine."""
    (tmp_path / "machine").mkdir()
    recipes.write(recipes.job("j", working_directory=str(tmp_path / "machine")), tmp_path / "job.yaml")
    cli.write("doit.cfg", DOIT_CFG)
    cli.write("batchfile.toml", BATCH.replace(".:all", "lib:my lib"))
    cli.write("lib/x.big", "big")
    cli.write("lib/y", "y")
    cli.write("code/work.sh", "echo $1; test $1 != 2 || test -e go\n")
    return cli


def doit(cli: Cli, *words: str, code: int = 0, **env: str | None) -> list[str]:
    """Run doit and return its lines on tasks, `.` executed, `--` up to date."""
    out, err = cli(*words, program="doit", code=code, **env)
    assert not err
    return [line for line in out.splitlines() if line.startswith((".", "--"))]


def tree(cli: Cli) -> dict[str, tuple[int, int]]:
    """Return all files with the times at which they were written, but for doit's own."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in cli.folder.rglob("*")
        if path.is_file() and path.name != ".pydoit_sc.json"
    }


def puts(cli: Cli) -> int:
    return sum(one.method == "PUT" for one in cli.standin.requests)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def test_apply_does_what_has_not_been_done(project: Cli) -> None:
    first = ["split:chunks", "sync:0", "sync:1", "sync:chunks", "recipe", "apply"]
    assert doit(project, "apply") == [f".  {name}" for name in first]
    commands = project.folder / ".pydoit_sc" / "commands"
    assert sorted(path.name for path in commands.iterdir()) == ["0.json", "1.json", "2.json", "recipe.yaml"]
    assert project.standin.recipes["job", "test/hugo", "weather"]["spec"]["scale"] == 2

    before = tree(project)
    assert doit(project, "apply") == [f"-- {name}" for name in first]
    assert (tree(project), puts(project)) == (before, 1)

    project.write("code/more.py", "")  # one folder is sent again, and the recipe names the new archive
    changed = [line[3:] for line in doit(project, "apply") if line.startswith(".")]
    assert changed == ["sync:0", "recipe", "apply"]

    project.write("batchfile.toml", (project.folder / "batchfile.toml").read_text().replace("3, 4]", "3]"))
    assert [line[3:] for line in doit(project, "apply") if line.startswith(".")] == [
        "split:chunks", "sync:chunks", "recipe", "apply"
    ]  # fmt: skip
    assert not (commands / "2.json").exists()


def test_tasks_are_made_when_they_are_asked_for(project: Cli) -> None:
    assert project("list", "--all", program="doit")[0].count("\n") == 7
    assert [one.split()[0] for one in project("list", "sync", "apply", program="doit")[0].splitlines()] == [
        "apply", "sync"
    ]  # fmt: skip
    assert doit(project, "sync:1") == [".  sync:1"]
    assert doit(project, "split:chunks") == [".  split:chunks"]
    assert [line[3:] for line in doit(project, "recipe") if line.startswith(".")][-1] == "recipe"
    assert "split:9" in project("run", "split:9", code=3)[1]


def test_what_is_archived(project: Cli, tmp_path: Path) -> None:
    """Neither what is excluded, nor outputs and archives, which change while the code does not."""
    batchfile = (project.folder / "batchfile.toml").read_text()
    project.write(
        "batchfile.toml",
        batchfile.replace('["code", "lib:my lib"]', '[".:code"]').replace(
            '["*.big"', '["*.big", "/machine/"'
        ),
    )
    project("submit", "--wait", code=1)
    assert doit(project, "sync:0") == ["-- sync:0"]
    copied = {
        str(path.relative_to(tmp_path / "machine" / "code")) for path in tmp_path.glob("machine/code/**/*")
    }
    assert copied >= {"batchfile.toml", "code", "code/work.sh", "lib/y"}
    assert not copied & {"out", "base", ".pydoit_sc", ".pydoit_sc.json", "lib/x.big"}


def test_submit_and_wait_stage_by_stage(project: Cli) -> None:
    out, _ = project("submit", "--wait", code=1)
    assert "failed a:2: status code 1\n4 completed, 1 failed, in " in out
    (project.folder / "machine" / "go").touch()
    out, _ = project("submit", "--engine", "saturn", "--wait")
    assert [line.partition(",")[0] for line in out.splitlines() if "completed, in" in line] == [
        "1 completed"
    ] * 2
    assert "`b` comes after `a`" in out
    before, count = tree(project), puts(project)
    assert project("submit", "--wait")[0].endswith("nothing to execute, nothing submitted\n")
    assert doit(project, "apply")[-1] == "-- apply"
    assert (tree(project), puts(project)) == (before, count)
    attempts = [json.loads((project.folder / f"out/a/{n}/run.json").read_text())["attempt"] for n in range(5)]
    project("submit", "--wait", "--always")
    again = [json.loads((project.folder / f"out/a/{n}/run.json").read_text())["attempt"] for n in range(5)]
    assert not set(attempts) & set(again)


def test_submit_again_after_the_same_failures(project: Cli) -> None:
    """The plan is unchanged, so nothing is written; the job starts anyway, since that was asked."""
    batchfile = (project.folder / "batchfile.toml").read_text()
    project.write(
        "batchfile.toml", batchfile.replace("x = [0, 1, 2, 3, 4]", "x = [2]").replace('["a"]', "[]")
    )
    project.write("code/work.sh", "test -e go\n")
    project("submit", "--wait", code=1)
    project("submit", "--wait", code=1)
    before = tree(project)
    (project.folder / "machine" / "go").touch()
    project("submit", "--wait")
    after = tree(project)
    changed = {
        path.relative_to(project.folder).parts[0]
        for path in map(Path, before)
        if before[str(path)] != after.get(str(path))
    }
    assert changed == {"out", "machine"}


def test_ctrl_c_ends_the_waiting_only(project: Cli) -> None:
    project.write("code/work.sh", "while test ! -e go; do sleep 0.05; done\n")
    project.write("batchfile.toml", (project.folder / "batchfile.toml").read_text().replace(", 2, 3, 4", ""))
    waiting = project.start("submit", "--wait")
    until(lambda: any("weather" in job.pods[0].name for job in project.standin.jobs.values()))
    until(lambda: project("summarize-batch", "--status", "running")[0].count("running") == 2)
    assert "is under way: wait for its end" in project.refused("submit")
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err) == (130, "")
    assert "the job continues unwatched\n" in out
    (line,) = re.findall("pydoit-sc summarize-batch .*", out)
    (project.folder / "machine" / "go").touch()
    project.standin.wait("weather")
    assert project(*line.split()[1:])[0].count("completed") == 2
    (line,) = re.findall("pydoit-sc job-logs .*", out)
    assert "2 completed" in project(*line.split()[1:])[0]


def test_a_job_that_ends_without_its_runs(project: Cli) -> None:
    batchfile = (project.folder / "batchfile.toml").read_text()
    project.write("batchfile.toml", batchfile + 'worker_install = "echo broken; false"\n')
    out, err = project("submit", "--wait", code=2)
    assert err == "ERROR: the job has ended (error), and 5 of its runs have not\n"
    assert "pydoit-sc job-logs weather --owner test/hugo" in out
    assert "broken" in project("job-logs", "weather")[0]


def test_apply_starts_if_the_table_says_so(project: Cli) -> None:
    batchfile = (project.folder / "batchfile.toml").read_text()
    project.write("batchfile.toml", batchfile + "start = true\n")
    doit(project, "apply")
    project.standin.wait("weather")
    (project.folder / "machine" / "go").touch()
    doit(project, "apply")
    project.standin.wait("weather")
    assert "5 completed" in project("summarize-batch")[1]


def test_split_without_words_is_of_the_table(project: Cli) -> None:
    out, _ = project("split", "--max-jobs", "1", "--local-commands-directory", "c", "--sync", "lib:other")
    assert out.endswith("wrote 1 chunk and c/recipe.yaml; next: pydoit-sc apply c/recipe.yaml --start\n")
    spec = recipe_files.read(project.folder / "c" / "recipe.yaml")["spec"]
    assert (spec["name"], spec["scale"]) == ("weather", 2)
    assert spec["start_script"].count("mkdir -p") == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('recipe = "job', 'recipes = "job', r"batchfile.toml:17:1: saturn.recipes: unknown key; did you mean `recipe`\?"),
        ('"weather"', "3", "saturn.name: expected a string, found 3"),
        ('sync = ["code", ".:all"]', 'sync = "code"', "saturn.sync: expected a list of strings"),
        ('recipe = "job.yaml"', 'worker = "cs"', 'saturn.worker: expected "pydoit-sc" or "sc", found "cs"'),
        ('recipe = "job.yaml"', "", r"\[saturn\] has no `recipe`"),
        ('["code"', '["gone"', "gone: no such folder"),
        ('"file://base"', '"file://"', "names no place"),
        ('cmd = "sh code', 'file_dep = ["no.csv"]\ncmd = "sh code', "file_dep `no.csv` matches no file"),
    ],
)  # fmt: skip
def test_errors_of_the_table(
    project: Cli, refused: Callable[..., str], old: str, new: str, said: str
) -> None:
    assert BATCH.count(old) == 1
    project.write("batchfile.toml", BATCH.replace(old, new))
    before = set(tree(project))
    assert re.search(said, refused("submit"))
    assert set(tree(project)) == before
    assert project.standin.recipes == {}


def test_no_table_says_where_to(project: Cli, refused: Callable[..., str]) -> None:
    project.write("batchfile.toml", BATCH.partition("[saturn]")[0])
    assert re.search(r"no table .*\[saturn\].* that says where to", refused("submit"))


def test_the_page_lists_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "saturn.md").read_text()
    named = {
        word for line in page.splitlines() if line.startswith("| `") for word in re.findall("`(\\w+)`", line)
    }
    assert set(SaturnTable.model_fields) <= named


@pytest.mark.parametrize("name", [{}, {"name": None}, {"name": ""}])
def test_folders_of_a_recipe_without_a_name_are_not_staged(cli: Cli, name: dict[str, str | None]) -> None:
    recipe = recipes.job("j")
    del recipe["spec"]["name"]
    recipe["spec"].update(name)
    cli.write("job.yaml", recipe_files.dumps(recipe))
    cli.write("code/work.sh", "echo")
    assert "job.yaml: `spec` has no `name`" in cli.refused("apply", "job.yaml", "--sync", "code")
    assert cli.standin.requests == []


def test_apply_tells_of_folders_that_are_there_already(cli: Cli) -> None:
    """Archives that lie in a folder are not in the next archive of it."""
    recipes.write(recipes.job("j"), cli.folder / "job.yaml")
    cli.write("code/work.sh", "echo")
    base = f"file://{cli.folder}/code/base"
    words = ("apply", "job.yaml", "--sync", "code", "--file-syncs-base-dir-url", base)
    first, again = cli(*words)[0].splitlines(), cli(*words)[0].splitlines()
    assert first[:2] == [f"syncing {cli.folder}/code", first[1]]
    assert first[1].startswith(f"synced {cli.folder}/code to {base}/")
    assert again[:2] == [first[0], f"{first[1]}, which is there already"]
