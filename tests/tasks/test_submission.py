"""`doit split` and `doit apply`: in any project, by the engine that the batchfile has a table for."""

from __future__ import annotations

import json

import pytest

from tests.conftest import DOIT_CFG, HEAD, Box, until

BATCH = (
    HEAD
    + """
batch_size = 2

[runs.a]
cmd = "echo a:{x} >> log; test ! -e fail{x}"
matrix = { x = [0, 1, 2] }

[runs.b]
cmd = "echo b >> log"
after = ["a"]
"""
)


@pytest.fixture
def project(box: Box) -> Box:
    """Three runs in two chunks, and one that comes after them; there is no engine's table."""
    box.batchfile(BATCH)
    box.write("doit.cfg", DOIT_CFG)
    return box


def doit(box: Box, *words: str) -> list[str]:
    """Run doit and return what became of its tasks."""
    return [" ".join(line.split()) for line in box.ok(*words, program="doit").splitlines() if line[0] in ".-"]


def ended(box: Box) -> bool:
    return " ended" in box.ok("submissions").splitlines()[-1]


def test_without_a_table_the_engine_is_local(project: Box) -> None:
    assert doit(project, "split") == [". split:chunks", ". recipe"]
    commands = project.folder / ".pydoit_sc" / "commands"
    assert sorted(path.name for path in commands.iterdir()) == ["0.json", "1.json", "local.json"]
    assert not (project.folder / "out").exists()
    assert doit(project, "split") == ["-- split:chunks", "-- recipe"]
    assert doit(project, "apply") == ["-- split:chunks", "-- recipe", ". apply"]
    until(lambda: ended(project))
    assert project.executed() == ["a:0", "a:1", "a:2"]
    doit(project, "apply")  # the stage after them
    until(lambda: ended(project))
    assert project.executed() == ["b"]
    assert doit(project, "apply") == ["-- split:chunks", "-- recipe", "-- apply"]
    assert len(list((commands.parent.parent / "out/.pydoit_sc/submitted").iterdir())) == 2


def test_while_it_executes_it_is_up_to_date(project: Box) -> None:
    project.edit("test ! -e fail{x}", "while test ! -e go; do sleep 0.05; done")
    doit(project, "apply")
    assert doit(project, "apply") == ["-- split:chunks", "-- recipe", "-- apply"]
    project.edit("echo a:{x}", "echo c:{x}")
    refused = project("apply", program="doit")
    assert refused.code == 2
    assert "is under way: wait for its end" in refused.out + refused.err
    project.write("go", "")
    until(lambda: ended(project))


def test_what_has_failed_is_handed_over_again(project: Box) -> None:
    """The same runs make the same chunks, but their submission is over: this is another one."""
    for x in range(3):
        project.write(f"fail{x}", "")
    for _ in range(2):
        doit(project, "apply")
        until(lambda: ended(project))
        assert project.executed() == ["a:0", "a:1", "a:2"]
    ids = {path.name for path in (project.folder / "out/.pydoit_sc/submitted").iterdir()}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("table", "file"),
    [
        ('[slurm]\npartition = "main"\n', "job.sh"),
        ('[dask]\ncluster = "local"\n', "dask.json"),
        ('[kubernetes]\nimage = "x"\nvolumes = { "FOLDER" = "claim" }\n', "job.yaml"),
    ],
)
def test_each_engine_has_its_own_file(project: Box, table: str, file: str) -> None:
    project.batchfile(BATCH + table.replace("FOLDER", str(project.folder)))
    assert doit(project, "split") == [". split:chunks", ". recipe"]
    commands = project.folder / ".pydoit_sc" / "commands"
    id_ = json.loads((commands / "0.json").read_text())["pydoit_sc"]["submission"]
    assert id_ in (commands / file).read_text()
    assert doit(project, "split") == ["-- split:chunks", "-- recipe"]


def test_code_is_sent_once(project: Box) -> None:
    project.batchfile(BATCH + '[sync]\ndirs = ["."]\n')
    sent = [". split:chunks", ". sync:0", ". recipe"]
    assert doit(project, "split") == sent
    assert doit(project, "split") == [line.replace(". ", "-- ") for line in sent]


def test_two_tables(project: Box) -> None:
    project.batchfile(BATCH + "[slurm]\n[local]\n")
    assert "has tables [local] and [slurm]" in project("split", program="doit").refused()


def test_a_file_that_is_no_chunk_stays(project: Box) -> None:
    project.write(".pydoit_sc/commands/1.json", "{}")
    assert "1.json: not a chunk" in project("split", program="doit").refused()
