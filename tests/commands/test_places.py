"""Where a project and its outputs may be: hostile folders, other stores, full and read-only disks, two workers."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.cli import main
from pydoit_sc.errors import UserError
from pydoit_sc.project import Project
from pydoit_sc.tasks.program import run_program
from tests.conftest import DOIT_CFG, HEAD, STAGES, Box, without
from tests.starts import PROGRAMS

HOSTILE = ["-with space, quo'te\"s;&", "ünï ☃ back\\slash #?[a]*", "$(touch x) `id` %s {y}"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_project_in_a_hostile_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    box = Box(tmp_path / name)
    box.batchfile(STAGES)
    box.write("in", "1")
    box.write("doit.cfg", DOIT_CFG)
    box.ok(program="doit")
    assert box.executed() == ["a:1", "a:2", "a:3", "b"]
    assert box.ok() == "all 4 runs are up to date\n"
    rows = json.loads(box("summarize-batch", "--format", "json").out)
    box.ok("-a", rows[0]["remote_output_path"])
    assert box.executed() == [rows[0]["name"]]
    assert box.ok("logs", "a:1") == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_from_another_folder(stages: Box) -> None:
    there = stages.folder / "there"
    there.mkdir()
    for file in ("../batchfile.toml", str(stages.folder / "batchfile.toml")):
        stages.ok("-f", file, "-a", cwd=there)
        assert stages.executed() == ["a:1", "a:2", "a:3", "b"]
    assert stages.ok("plan", "-f", "../batchfile.toml", cwd=there) == "all 4 runs are up to date\n"
    assert stages.ok("logs", "a:1", "-f", "../batchfile.toml", cwd=there) == "1"
    assert stages.ok(cwd=there, PYDOIT_SC_FILE="../batchfile.toml") == "all 4 runs are up to date\n"
    assert list(there.iterdir()) == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_folder_that_has_been_removed(box: Box, name: str) -> None:
    box.write("cmds.txt", "true")
    with pytest.MonkeyPatch.context() as patch:
        (box.folder / "gone").mkdir()
        patch.chdir(box.folder / "gone")
        (box.folder / "gone").rmdir()
        said = io.StringIO()
        with redirect_stderr(said):
            assert run_program([name, "../cmds.txt"]) == 3
        assert said.getvalue() == "ERROR: the current folder has been removed; go to another one\n"
        with pytest.raises(UserError, match="the current folder has been removed"):
            Project.load(str(box.folder / "cmds.txt"), remote_output_path="out")


def test_a_folder_that_has_been_removed_from_a_shell(stages: Box) -> None:
    batch = stages.folder / "batchfile.toml"
    said = "ERROR: the current folder has been removed; go to another one\n"
    for line, code in {
        f"run {batch} --to {stages.folder}/o": 3,
        f"plan -f {batch}": 3,
        "--version": 0,
        "--help": 0,
    }.items():
        done = stages.shell(f"mkdir g && cd g && rmdir ../g && exec pydoit-sc {line}")
        assert (done.code, done.err) == (code, said if code else "")


def test_without_a_path(stages: Box) -> None:
    done = subprocess.run(
        [PROGRAMS / "pydoit-sc"],
        cwd=stages.folder,
        env=without(without(stages.env, "PATH"), "HOME"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]


def test_two_at_once(stages: Box) -> None:
    stages.edit("[1, 2, 3]", "{ range = [0, 12] }")
    stages.edit("cat in", "cat in; sleep 0.05")
    with stages.start(program="doit") as one, stages.start(program="doit") as other:
        ends = [process.communicate(timeout=60) for process in (one, other)]
    assert [process.returncode for process in (one, other)] == [0, 0], ends
    assert [err for _, err in ends] == ["", ""]
    assert len([path for path in stages.tree() if path.endswith("/status_code")]) == 13
    assert set(stages.executed()) == {"b", *(f"a:{x}" for x in range(12))}
    for x in range(12):
        assert stages.out(f"a/{x}/stdout") == "1"
    again = stages.ok(program="doit")
    assert again == "all 13 runs are up to date\n"


def test_memory(stages: Box) -> None:
    stages.edit("file://out", "memory://out")
    stages.edit("cat in", "cat in; test {x} != 3")
    done = stages()
    assert (done.code, done.err) == (1, "")
    assert "2 completed, 1 failed, 1 not executed" in done.out
    assert stages.executed() == ["a:1", "a:2", "a:3"]


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "mount"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a tmpfs here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_read_only_store(stages: Box, mounts: Path) -> None:
    stages.edit("file://out", f"file://{mounts}/out")
    stages.ok("a:1")
    stages.executed()
    subprocess.run(["mount", "-o", "remount,ro", mounts], check=True)
    done = stages()
    assert done.code in (2, 3)
    assert "Read-only file system" in done.err + done.out
    assert "Traceback" not in done.err + done.out
    assert stages.executed() == []
    assert stages.ok("plan").startswith("3 of 4 runs to execute")
    assert stages.ok("logs", "a:1") == "1"
    for words in (["forget", "a:1"], ["clean", "a:1"]):
        assert "Read-only file system" in stages(*words).refused()


def test_a_full_store(stages: Box, mounts: Path) -> None:
    stages.edit("file://out", f"file://{mounts}/out")
    stages.edit("cat in", "head -c 400000 /dev/zero")
    done = stages("-n", "1")
    assert done.code in (1, 2)
    assert "Traceback" not in done.err + done.out
    assert "the disk is full" in done.err + done.out
    plan = json.loads(stages("summarize-batch", "--format", "json").out)
    for row in plan:
        if row["status"] == "completed":
            assert os.path.getsize(f"{row['remote_output_path'].removeprefix('file://')}/stdout") == 400000
    assert [row["status"] for row in plan if row["name"] == "b"] == ["incomplete"]
    stages.edit("head -c 400000", "head -c 40")
    stages.ok()
    assert stages.ok("plan") == "all 4 runs are up to date\n"


def test_a_folder_that_may_not_be_written_for_doits_database(stages: Box, mounts: Path) -> None:
    project = Box(mounts)
    project.batchfile(STAGES.replace("file://out", f"file://{stages.folder}/out"))
    project.write("in", "1")
    project.write("log", "")
    project.edit("echo a:{x} >> log; ", "")
    project.edit("echo b >> log", "true")
    subprocess.run(["mount", "-o", "remount,ro", mounts], check=True)
    project.ok()
    assert project.ok() == "all 4 runs are up to date\n"
    done = project("ignore", "a:1")
    assert (done.code, done.out) == (3, "")  # nothing that is not so
    assert ".pydoit_sc.ignored.json: Read-only file system" in done.err and "Traceback" not in done.err


UNREADABLE = (
    HEAD
    + """
[runs.a]
cmd = "echo a:{x} >> log; echo {x} > $SATURN_RUN_LOCAL_RESULTS_DIR/x.json; echo oops >&2; test {x} != 4"
matrix = { x = [0, 1, 2, 3, 4] }
"""
)


def unreadable(box: Box) -> Path:
    """Make five runs, of which only the first can be read whole."""
    box.batchfile(UNREADABLE)
    box("--quiet")
    box.executed()
    out = box.folder / "out" / "a"
    (out / "1" / "status_code").unlink()
    (out / "1" / "status_code").mkdir()
    (out / "2").chmod(0)
    (out / "3" / "results").chmod(0)
    (out / "4" / "stderr").chmod(0)
    return out


@pytest.mark.usefixtures("ordinary")
def test_outcomes_that_cannot_be_read_end_no_command(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = unreadable(box)
    monkeypatch.chdir(box.folder)
    for command, (code, *said) in {
        "plan": (
            0,
            "3 of 5 runs to execute",
            "a:1  incomplete: its outcome cannot be read: status_code: Is a directory",
            "a:2  incomplete: its outcome cannot be read: status_code: Permission denied",
            "a:4  error: status code 1",
        ),
        "status": (0, "2 completed, 1 failed, 2 incomplete"),
        "list --status": (0,),
        "info a:2": (1, "incomplete: its outcome cannot be read: status_code: Permission denied"),
        "failures": (0, "1 × exit 1  (stderr not read)"),
        "results": (
            2,
            f"warning: a:1: {out}/1/status_code: Is a directory",
            f"warning: a:2: {out}/2/status_code: Permission denied",
            "warning: a:3: results/x.json: Permission denied",
        ),
        "report": (0, "report.html: 5 runs"),
        "summarize-batch": (0, "1 error, 2 completed, 2 incomplete"),
        "summarize-batch --status orphaned": (0,),
        "fetch --to got": (
            2,
            f"a:1: {out}/1/status_code: Is a directory",
            f"a:2: {out}/2/status_code: Permission denied",
            "a:3: results/x.json: Permission denied",
            "a:4: stderr: Permission denied",
            "1 fetched",
        ),
        "verify": (
            1,
            f"a:1: {out}/1/status_code: Is a directory",
            f"a:2: {out}/2/status_code: Permission denied",
            f"a:3: {out}/3/results/: Permission denied",
            "2 of 5 runs are finished: 2 whole; 3 cannot be read",
        ),
        "verify --read": (
            1,
            f"a:4: {out}/4/stderr: Permission denied",
            "1 of 5 runs are finished: 1 whole; 4 cannot be read",
        ),
        "submit --engine local": (3, "a:1: its outcome cannot be read: status_code: Is a directory"),
        "clean a:1 a:2": (2, f"{out}/1/status_code: Is a directory", f"{out}/2 cannot be read"),
    }.items():
        ended = main(command.split())
        told = "".join(capsys.readouterr())
        assert (ended, [words for words in said if str(words) not in told]) == (code, []), (command, told)
    (out / "0" / "status_code").write_text("7")
    ran = box("-q")
    assert ran.code == 2
    assert "1 run was not started: its outcome cannot be read: status_code: Is a directory (a:1)" in ran.out
    assert {"a:0", "a:4"} <= set(box.executed())
    (out / "2").chmod(0o755)
    (out / "3" / "results").chmod(0o755)


@pytest.mark.usefixtures("ordinary")
def test_what_is_closed_is_not_to_be_repaired(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box.batchfile(UNREADABLE)
    box("--quiet")
    out = box.folder / "out"
    monkeypatch.chdir(box.folder)
    for closed, words, count in (
        (out, [], 5),
        (out, ["--repair"], 5),
        (out / "a/1/stderr", ["--read", "--repair"], 1),
    ):
        closed.chmod(0)
        code = main(["verify", *words])
        closed.chmod(0o755)
        said = capsys.readouterr()
        assert (code, said.out.count("Permission denied"), said.out.count("\n")) == (1, count, count)
        assert f"{5 - count} of 5 runs are finished" in said.err and f"; {count} cannot be read\n" in said.err
        assert "repair" not in said.err and (out / "a/1/status_code").exists()


@pytest.mark.usefixtures("ordinary")
def test_an_output_that_lists_no_files_and_is_closed(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box.batchfile(UNREADABLE)
    box("--quiet")
    (box.folder / "out/a/0/run.json").unlink()
    (box.folder / "out/a/0/results").chmod(0)
    monkeypatch.chdir(box.folder)
    for command, told in {"results": "4 of 5 runs, 4 rows", "fetch --to got": "4 fetched"}.items():
        assert main(command.split()) == 2
        said = "".join(capsys.readouterr())
        assert f"a:0: {box.folder}/out/a/0/results: Permission denied" in said, said
        assert told in said, said
    (box.folder / "out/a/0/results").chmod(0o755)


def test_links_of_ones_own_in_places_hinder_no_other_run(box: Box) -> None:
    box.batchfile(HEAD + '[runs.m]\ncmd = "true"\nmatrix = { i = [1, 2, 3] }\n[runs.n]\ncmd = "true"\n')
    box.write("elsewhere/x", "")
    (box.folder / "out").mkdir()
    (box.folder / "out/m").symlink_to("/no/such")  # a disk that is not mounted
    assert "m:1  incomplete: `" + f"{box.folder}/out/m` cannot be written: No such file" in box.ok("plan")
    assert box().code == 2
    assert box.out("n/status_code") == "0"
    (box.folder / "out/m").unlink()
    (box.folder / "out/m").mkdir()
    (box.folder / "out/m/1").symlink_to(box.folder / "elsewhere")
    (box.folder / "out/m/2").symlink_to("/no/such")
    assert "m:1  incomplete: its place is no folder, and stays as it is\n" in box.ok("plan")
    done = box()
    assert (done.code, box.out("m/3/status_code")) == (2, "0")
    assert "2 runs were not started: its place is no folder, and stays as it is (m:1; alike: m:2)" in done.out
    assert (box.folder / "elsewhere/x").exists()
