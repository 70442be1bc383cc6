"""Other users of the machine: what they put where we look makes nothing of ours execute, and is told in one line."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.engines.dask_access import FILE, Access, read_access, write_access
from pydoit_sc.submissions.folder import FolderError, check_folder, write_chunks
from pydoit_sc.submissions.notes import new_note
from pydoit_sc.sync.code import fetch_lines
from pydoit_sc.sync.upload import FileSync, stage
from tests.conftest import until
from tests.worker.test_misbehaving import PLAIN

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a second user")


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    """A folder like /tmp."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    return tmp_path / "tmp"


def neighbour(folder: Path, script: str) -> None:
    """Do something in a folder as another user, who needs no way to it."""
    subprocess.run(["sh", "-ec", script], cwd=folder, user=NOBODY, group=NOBODY, extra_groups=[], check=True)


def fetch(tmp: Path) -> subprocess.CompletedProcess[str]:
    """Do what a worker does with [sync]: fetch the code, go to it and execute a part of it."""
    code = tmp.parent / "code"
    code.mkdir(exist_ok=True)
    (code / "work.sh").write_text("echo ours\n")
    archive = stage(FileSync(str(code), "/"), f"file://{tmp.parent}/staged")
    lines = fetch_lines([archive], "ID", ".", {})
    env = {**os.environ, "TMPDIR": str(tmp), "pydoit_sc_python": sys.executable}
    return subprocess.run(
        ["sh", "-c", f"{lines}sh ./work.sh"], env=env, capture_output=True, text=True, timeout=60, check=False
    )


EVIL = "mkdir -p {0} && chmod 777 {0} && echo 'echo EXECUTED' > {0}/work.sh"


def planted_folder(tmp: Path) -> None:
    neighbour(tmp, EVIL.format("pydoit-sc-0/ID"))


def planted_parent(tmp: Path) -> None:
    neighbour(tmp, "mkdir pydoit-sc-0 && chmod 777 pydoit-sc-0")


def planted_link(tmp: Path) -> None:
    """The victim's own folder, in which the neighbour may write, is reached by the neighbour's link."""
    (tmp / "shared").mkdir()
    (tmp / "shared").chmod(0o777)
    neighbour(tmp, EVIL.format("shared/ID"))
    neighbour(tmp, "ln -s shared pydoit-sc-0")


def planted_in_open_parent(tmp: Path) -> None:
    (tmp / "pydoit-sc-0").mkdir()
    (tmp / "pydoit-sc-0").chmod(0o777)
    neighbour(tmp, EVIL.format("pydoit-sc-0/ID"))


def planted_in_open_group(tmp: Path) -> None:
    (tmp / "pydoit-sc-0").mkdir()
    os.chown(tmp / "pydoit-sc-0", 0, NOBODY)
    (tmp / "pydoit-sc-0").chmod(0o775)
    neighbour(tmp, EVIL.format("pydoit-sc-0/ID"))


def kept_from_before(tmp: Path) -> None:
    """The parent is private by now; what was put into it before is still the neighbour's."""
    planted_in_open_parent(tmp)
    (tmp / "pydoit-sc-0").chmod(0o700)


def not_sticky(tmp: Path) -> None:
    """The neighbour could replace the folder after the look at it."""
    tmp.chmod(0o777)


def of_a_neighbour(tmp: Path) -> None:
    """The neighbour made what TMPDIR names, and may replace everything in it in spite of the sticky bit."""
    os.chown(tmp, NOBODY, NOBODY)


@pytest.mark.parametrize(
    "plant",
    [
        planted_folder,
        planted_parent,
        planted_link,
        planted_in_open_parent,
        planted_in_open_group,
        kept_from_before,
        not_sticky,
        of_a_neighbour,
    ],
    ids=lambda plant: plant.__name__,
)
def test_no_code_of_a_neighbour_is_executed(tmp: Path, plant: Callable[[Path], None]) -> None:
    plant(tmp)
    done = fetch(tmp)
    assert (done.returncode, done.stdout) == (1, ""), done
    (line,) = done.stderr.splitlines()
    assert "set TMPDIR to a folder of your own" in line


def test_code_is_fetched_beside_the_neighbours(tmp: Path) -> None:
    neighbour(tmp, "mkdir -p pydoit-sc-65534/ID && echo 'echo EXECUTED' > pydoit-sc-65534/ID/work.sh")
    for _ in range(2):
        done = fetch(tmp)
        assert (done.returncode, done.stdout) == (0, "ours\n"), done
    assert (tmp / "pydoit-sc-0" / "ID").stat().st_mode & 0o777 == 0o700


def test_no_recipe_is_written_where_a_neighbour_can_change_it(tmp: Path) -> None:
    """`sc` and we write to /tmp/commands by default; what `apply` reads there later is what machines execute."""
    neighbour(tmp, "mkdir commands && chmod 777 commands && ln -s commands link")
    for name in ("commands", "link"):
        with pytest.raises(FolderError, match=r"uid 65534|symlink"):
            check_folder(str(tmp / name), 1)
    check_folder(str(tmp / "mine"), 1)
    write_chunks(str(tmp / "mine"), ["{}"])
    check_folder(str(tmp / "mine"), 0)
    assert (tmp / "mine").stat().st_mode & 0o777 == 0o755
    tmp.chmod(0o777)
    with pytest.raises(FolderError, match="no sticky bit"):
        check_folder(str(tmp / "mine"), 0)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that everybody may write to, with a batch."""
    (tmp_path / "batchfile.toml").write_text('[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "true"\n')
    folder = tmp_path / "out" / ".pydoit_sc"
    for path in (folder / "submitted", folder / "submissions" / "ID"):
        path.mkdir(parents=True)
        path.chmod(0o777)
    return folder


def write_as_neighbour(path: Path, data: bytes, mode: str = "644") -> None:
    (path.parent / "data").write_bytes(data)
    neighbour(path.parent, f"cat data > {path.name} && chmod {mode} {path.name}")
    (path.parent / "data").unlink()


def test_a_note_of_another_user_is_shown_and_left_alone(store: Path) -> None:
    """To write to it would make it this user's own; what it names is not this user's to end."""
    note = new_note(id="ID", engine="local", batch="b", chunks=1, runs=1, nprocs=1, scale=None, jobs=("x",))
    path = store / "submitted" / "ID.json"
    write_as_neighbour(path, note.to_json())
    shown, cancelled, any_ = (
        subprocess.run(
            [sys.executable, "-m", "pydoit_sc", *words],
            cwd=store.parents[1],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for words in (["submissions"], ["cancel", "ID"], ["cancel"])
    )
    assert "ID" in shown.stdout and "ended" in shown.stdout
    assert (cancelled.returncode, any_.returncode) == (3, 0)
    assert (
        "`ID` was submitted by another user, or others may write to its note: only its own user"
        in cancelled.stderr
    )
    assert any_.stdout == "no submission of yours is under way\n"
    assert path.stat().st_uid == NOBODY and not json.loads(path.read_text())["ended"]


def test_what_a_neighbour_puts_among_the_notes_hinders_nobody(store: Path) -> None:
    folder = store / "submitted"
    neighbour(
        folder, "mkfifo fifo.json; ln -s /dev/zero zero.json; ln -s loop.json loop.json; mkdir folder.json"
    )
    neighbour(folder, "echo {} > mine.json; truncate -s 2G large.json; ln -s /etc/shadow link.json")
    listed = subprocess.run(
        [sys.executable, "-m", "pydoit_sc", "submissions"],
        cwd=store.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "nothing has been submitted\n", "")


def test_a_cluster_of_dask_is_not_looked_for_where_a_neighbour_says(store: Path) -> None:
    """What answers there would be unpickled."""
    folder = store / "submissions" / "ID"
    access = Access(address="tcp://127.0.0.1:9", host="h", pid=1, started="1")
    write_as_neighbour(folder / FILE, access.to_json())
    assert read_access(str(folder)) is None
    (folder / FILE).unlink()
    write_access(str(folder), access)
    assert read_access(str(folder)) == access
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    (folder / FILE).chmod(0o666)
    assert read_access(str(folder)) is None
    (folder / FILE).rename(folder / "mine")
    (folder / "mine").chmod(0o600)
    neighbour(folder, f"ln -s mine {FILE}")
    assert read_access(str(folder)) is None
    (folder / FILE).unlink()
    neighbour(folder, f"mkfifo {FILE}")
    assert read_access(str(folder)) is None


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Four runs, of which the second one has failed."""
    cmd = "echo {n} >> log; test {n} != 1 -o -e mended"
    text = f'[batch]\nremote_output_path = "out"\nnprocs = 1\n[runs.a]\ncmd = "{cmd}"\nmatrix = {{ n = [0, 1, 2, 3] }}\n'
    (tmp_path / "batchfile.toml").write_text(text)
    assert bound(tmp_path, "run", "a:0", "a:1").returncode == 1
    (tmp_path / "mended").touch()
    (tmp_path / "log").unlink()
    return tmp_path


def bound(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Execute a command as a user whom the modes of files bind."""
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv")
    words = (*PLAIN, sys.executable, "-m", "pydoit_sc", *words)
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [("out/a/1", "1"), ("out/.pydoit_sc/history/a/1", "1"), ("out/.pydoit_sc/history/a", "0123")],
)
def test_a_run_of_a_neighbour_that_cannot_be_replaced_hinders_no_other_run(
    batch: Path, theirs: str, kept: str
) -> None:
    (batch / theirs).mkdir(parents=True, exist_ok=True)
    os.chown(batch / theirs, NOBODY, NOBODY)
    why = f"`{batch / theirs}` cannot be written, it belongs to {pwd.getpwuid(NOBODY).pw_name}"
    assert f"a:1  error: {why}" in bound(batch, "plan").stdout
    ran = bound(batch, "run")
    assert (ran.returncode, (batch / "log").read_text()) == (2, "2\n3\n"), ran  # nothing is executed in vain
    assert why in ran.stdout
    assert (batch / "out/a/1/status_code").read_text() == "1"
    forgotten = bound(batch, "forget", "a:1")
    assert (forgotten.returncode, forgotten.stderr) == (2, f"ERROR: a:1: {why}, and it stays as it is\n")
    promised = bound(batch, "clean", "--all", "-n")
    assert (promised.returncode, promised.stderr.count(why)) == (2, len(kept)), promised
    cleaned = bound(batch, "clean", "--all")
    assert cleaned.returncode == 2, cleaned
    assert sorted(cleaned.stderr.splitlines()) == [
        f"ERROR: a:{run}: {why}, and it stays as it is" for run in kept
    ]
    assert sorted(os.listdir(batch / "out/a")) == [*kept]


def test_nothing_is_executed_whose_outcome_a_neighbours_folder_would_not_take(batch: Path) -> None:
    os.chown(batch / "out/a", NOBODY, NOBODY)
    why = f"`{batch / 'out/a'}` cannot be written, it belongs to {pwd.getpwuid(NOBODY).pw_name}"
    planned = bound(batch, "plan").stdout
    assert [f"a:{n}  {status}: {why}" in planned for n, status in ((1, "error"), (2, "incomplete"))] == [
        True
    ] * 2
    assert bound(batch, "run").returncode == 2
    assert not (batch / "log").exists()


def test_a_neighbours_link_in_the_way_of_a_stage_hinders_no_other_stage(batch: Path) -> None:
    with (batch / "batchfile.toml").open("a") as file:
        file.write('[runs.b]\ncmd = "echo b >> log"\nmatrix = { n = [1, 2] }\n')
    (batch / "out/b").symlink_to(batch)
    os.lchown(batch / "out/b", NOBODY, NOBODY)
    ran = bound(batch, "run")
    assert (ran.returncode, (batch / "log").read_text()) == (2, "1\n2\n3\n"), ran
    assert f"{batch / 'out/b'}: is a symbolic link of another user" in ran.stdout


def test_what_executes_is_out_of_reach(tmp_path: Path) -> None:
    """In a folder of a group: a link there would have the run write to, and the worker show, what it leads to."""
    out = tmp_path / "out"
    out.mkdir()
    os.chown(out, 0, NOBODY)
    out.chmod(0o2775)
    (tmp_path / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "out"\n[[runs]]\nname = "m"\n'
        'cmd = "echo x; until test -e go; do sleep 0.05; done; echo r > $SATURN_RUN_LOCAL_RESULTS_DIR/r"\n'
    )
    worker = subprocess.Popen([sys.executable, "-m", "pydoit_sc", "run"], cwd=tmp_path, umask=0o002)
    try:
        until(lambda: any(out.rglob("stdout")))
        (stdout,) = out.rglob("stdout")
        attempt, own = f"closed/{stdout.parent.name}", stdout.parents[2]
        for attack in (
            f"rm -f {attempt}/stdout",
            f"rmdir {attempt}/results",
            "mv closed open",
            "echo x > worker.json",
            "rm -f worker.json",
        ):
            with pytest.raises(subprocess.CalledProcessError):
                neighbour(own, attack)
        (tmp_path / "go").touch()
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()
    assert (out / "m/results/r").read_text() == "r\n"
    assert [path.stat().st_mode & 0o7777 for path in (out / "m", out / "m/results")] == [0o2775] * 2
