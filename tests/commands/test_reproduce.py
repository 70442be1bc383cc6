"""`reproduce`: a published attempt once more, with the code of then, and how its outputs compare."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import uuid
from pathlib import Path

import botocore.session
import pytest

from tests.conftest import HEAD, Box, until
from tests.s3 import KEYS
from tests.test_git import do

BATCH = (
    HEAD.replace("nprocs", 'env = { A = "1" }\nnprocs')
    + """
[runs.a]
cmd = "sh work.sh {x}; cat data/in; echo $A > $SATURN_RUN_LOCAL_RESULTS_DIR/r; exit {x}"
file_dep = ["work.sh", "data/*"]
matrix = { x = [0, 7] }
"""
)


@pytest.fixture
def done(box: Box) -> Box:
    """A batch whose code is a commit and whose data is not, executed."""
    box.env["TMPDIR"] = str(box.folder / "tmp")
    (box.folder / "tmp").mkdir()
    box.batchfile(BATCH)
    box.write("work.sh", "echo work $1\n")
    box.write("data/in", "data\n")
    box.write(".gitignore", "data\nout\ntmp\n.pydoit_sc*\n")
    do(box.folder, "init", "-q")
    do(box.folder, "add", ".")
    do(box.folder, "commit", "-qm", "one")
    assert box().code == 1
    return box


def kept(box: Box) -> list[Path]:
    """Return what is in the folders that `reproduce` has left."""
    return [
        path
        for folder in (box.folder / "tmp").glob("pydoit-sc-reproduce-*")
        for path in (folder, *folder.iterdir())
    ][1:]


def commit(box: Box) -> str:
    return do(box.folder, "rev-parse", "HEAD")


def test_the_code_is_that_of_the_commit(done: Box) -> None:
    done.write("work.sh", "echo something else\n")
    again = done("reproduce", "a:7")
    assert (again.code, again.out) == (
        0,
        "equal  results/r\nequal  status_code\nequal  stderr\nequal  stdout\n",
    )
    assert f"code: commit {commit(done)}\nall 4 files are equal; the new output is " in again.err
    folder = Path(again.err.split("the new output is ")[1].strip())
    assert (folder / "stdout").read_text() == "work 7\ndata\n"
    assert [path.name for path in kept(done)] == ["out"]  # the code is not needed any more
    assert (done.folder / "work.sh").read_text() == "echo something else\n"
    assert done.out("a/7/stdout") == "work 7\ndata\n"


def test_what_differs_and_what_cannot_be_had(done: Box) -> None:
    done.write("data/in", "more data\n")
    done.edit('A = "1"', 'A = "2"')
    again = done("reproduce", "a:0")
    assert again.code == 1
    assert again.out == (
        "differs                         results/r\n"
        "differs: 12 bytes then, 17 now  stdout\n"
        "equal                           status_code\n"
        "equal                           stderr\n"
    )
    assert f"code: commit {commit(done)}; not as they were: data/in\n" in again.err
    assert "not as it was: env: A changed\n" in again.err
    assert "2 of 4 files differ; the new output is " in again.err
    code = Path(again.err.split(", its code ")[1].strip())
    assert (code / "work.sh").read_text() == "echo work $1\n"
    assert (code / "data/in").resolve() == done.folder / "data/in"


def test_attributes_of_git_leave_no_file_out_of_the_code(done: Box) -> None:
    done.write(".gitattributes", "words.sh export-ignore\n")
    done.write("words.sh", "echo more work\n")
    done.write("work.sh", ". ./words.sh\n")
    do(done.folder, "add", ".")
    do(done.folder, "commit", "-qm", "two")
    done.ok("run", "a:0")
    assert done("reproduce", "a:0").code == 0


def test_what_was_not_executed_leaves_no_folder(done: Box) -> None:
    blob = do(done.folder, "rev-parse", "HEAD:work.sh")
    (done.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert "ERROR: git: " in done("reproduce", "a:0").refused()
    assert kept(done) == []


def test_what_was_stopped_leaves_no_folder(done: Box) -> None:
    here = done.folder
    done.write("work.sh", f"touch {here}/started; while test -e {here}/hold; do sleep 0.1; done")
    do(here, "commit", "-qam", "two")
    done.ok("run", "a:0")
    (here / "started").unlink()
    done.write("hold", "")
    with done.start("reproduce", "a:0") as process:
        until((here / "started").exists)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "stopped by SIGTERM" in err) == (128 + signal.SIGTERM, True)
    assert kept(done) == []


def test_a_folder_that_the_commit_does_not_have(box: Box) -> None:
    """Its name is not UTF-8, and no file in it is tracked."""
    do(box.folder, "init", "-q")
    do(box.folder, "commit", "-qm", "one", "--allow-empty")
    inner = Box(box.folder / os.fsdecode(b"caf\xe9"))
    inner.batchfile(HEAD + '[runs.a]\ncmd = "cat in"\nfile_dep = ["in"]\n')
    inner.write("in", "data")
    inner.ok()
    again = inner("reproduce", "a")
    assert (again.code, "code: commit " in again.err) == (0, True), again


def test_nothing_is_linked_where_a_link_of_the_commit_leads_out(box: Box) -> None:
    box.write("elsewhere/x", "")
    own = Box(box.folder / "own")
    own.batchfile(HEAD + '[runs.a]\ncmd = "ls data/"\nfile_dep = ["data/new"]\n')
    (own.folder / "data").symlink_to(box.folder / "elsewhere")
    do(own.folder, "init", "-q")
    do(own.folder, "add", "data")
    do(own.folder, "commit", "-qm", "one")
    (own.folder / "data").unlink()
    own.write("data/new", "")
    own.ok()
    assert own("reproduce", "a").code == 1
    assert [path.name for path in (box.folder / "elsewhere").iterdir()] == ["x"]


def test_an_attempt_with_uncommitted_code_is_told(done: Box) -> None:
    done.write("work.sh", "echo uncommitted\n")
    done()
    again = done("reproduce", "a:0")
    assert again.code == 1
    assert "tracked files differed from it, and what they were cannot be had" in again.err
    first = done("reproduce", "--attempt", "1", "a:0")
    assert (first.code, "cannot be had" in first.err) == (0, False)
    assert (
        "a:0: expected the number of an attempt that has ended, found 3"
        in done("reproduce", "--attempt", "3", "a:0").refused()
    )


def test_a_command_that_only_the_store_names_is_not_executed(done: Box) -> None:
    said = json.loads(done.out("a/0/run.json"))
    done.write("out/a/0/run.json", json.dumps({**said, "cmd": "touch planted"}))
    refused = done("reproduce", "a:0").refused()
    assert "a:0: its command has changed since: [-touch-]{+sh+}" in refused
    assert not list(done.folder.rglob("planted"))
    assert done("reproduce", "--recorded", "a:0").code == 1
    assert len(list(done.folder.rglob("planted"))) == 1


def test_names_that_an_object_store_cannot_hold_are_compared_as_it_spells_them(s3: str, box: Box) -> None:
    box.env.update({**KEYS, "AWS_ENDPOINT_URL": s3})
    bucket = f"spelled-{uuid.uuid4().hex[:12]}"
    client = botocore.session.Session().create_client(
        "s3", "us-east-1", endpoint_url=s3, aws_access_key_id="k", aws_secret_access_key="s"
    )
    client.create_bucket(Bucket=bucket)
    box.write("work.py", "import os; os.chdir(os.environ['SATURN_RUN_LOCAL_RESULTS_DIR'])\n")
    with (box.folder / "work.py").open("a") as file:
        file.write(r"for name in ('a\\b', 'a%0Ab', 'a\nb', 'plain'): open(name, 'w').write(name)")
    box.batchfile(
        f'[batch]\nremote_output_path = "s3://{bucket}/p"\n[runs.a]\ncmd = "{sys.executable} work.py"\n'
    )
    assert box("run").code == 0
    again = box("reproduce", "a")
    assert (again.code, "all 7 files are equal" in again.err) == (0, True), again


def test_a_store_that_is_away_is_no_attempt_without_a_document(box: Box) -> None:
    box.env.update({**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    box.batchfile('[batch]\nremote_output_path = "s3://b/p"\n[runs.a]\ncmd = "true"\n')
    done = box("reproduce", "a")
    assert (done.code, done.err.startswith("ERROR: s3://b/p")) == (3, True), done


@pytest.mark.parametrize(
    ("code", "why"),
    [(None, "its `run.json` names no commit"), ({"commit": "0" * 40, "dirty": False}, "does not have its commit 000")],
)  # fmt: skip
def test_without_a_commit_the_folder_is_taken_as_it_is(done: Box, code: object, why: str) -> None:
    said = json.loads(done.out("a/0/run.json"))
    done.write("out/a/0/run.json", json.dumps({**said, "code": code}))
    done.write("work.sh", "echo edited\n")
    again = done("reproduce", "a:0")
    assert again.code == 1
    assert "code: this folder as it is now: " in again.err and why in again.err
    assert "not as it was: file_dep: work.sh edited" in again.err
    assert "has no `run.json` that tells how" in _without_run_json(done)


def _without_run_json(box: Box) -> str:
    (box.folder / "out/a/7/run.json").unlink()
    return box("reproduce", "a:7").refused()


@pytest.mark.slow
def test_the_code_is_what_was_sent_with_the_submission(box: Box) -> None:
    box.env["TMPDIR"] = str(box.folder / "tmp")
    (box.folder / "tmp").mkdir()
    box.batchfile(BATCH + '[sync]\ndirs = ["."]\nexclude = ["tmp"]\n')
    box.write("work.sh", "echo work $1\n")
    box.write("data/in", "data\n")
    box.ok("submit", "--engine", "local", "a:0")
    until((box.folder / "out/a/0/status_code").exists)
    box.write("work.sh", "echo something else\n")
    again = box("reproduce", "a:0")
    assert again.code == 0, again
    submission = json.loads(box.out("a/0/run.json"))["submission"]
    assert f"code: what submission {submission} has sent\n" in again.err
    note = box.folder / f"out/.pydoit_sc/submitted/{submission}.json"
    said = json.loads(note.read_text())
    planted = {**said["shipped"][0], "url": re.sub("[0-9a-f]{64}", "0" * 64, said["shipped"][0]["url"])}
    note.write_text(json.dumps({**said, "shipped": [planted]}))
    assert "nothing here shows that submission" in box("reproduce", "a:0").err
    note.write_text(json.dumps(said))
    for theirs in (note, note.parents[1] / "submissions" / submission / "local.json"):
        theirs.chmod(theirs.stat().st_mode | 0o020)  # anybody of its group may have edited it
        assert "nothing here shows that submission" in box("reproduce", "a:0").err
        theirs.chmod(theirs.stat().st_mode & ~0o020)
    assert "has sent\n" in box("reproduce", "a:0").err
    note.write_text(json.dumps({**said, "shipped": [{**said["shipped"][0], "dest": "../../x"}]}))
    assert "expected a path inside of its folder, found '../../x'" in box("reproduce", "a:0").refused()
