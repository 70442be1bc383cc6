"""A worker's folder is removed once its worker is dead, and nothing of anybody else's is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pydoit_sc.proc import machine, started_at
from pydoit_sc.store import folders
from pydoit_sc.store.documents import Mark
from pydoit_sc.store.folders import (
    DEAD_AFTER,
    is_alive,
    is_there,
    own_folder,
    remove_dead,
    scratch_folder,
    touch,
    who_lives,
)
from tests.conftest import until

HERE = Mark(host="here", here=machine(), pid=os.getpid(), started=started_at(os.getpid()))
ENDED = Mark(host="here", here=machine(), pid=os.getpid(), started="1-0")
ELSEWHERE = Mark(host="there", here="another machine", pid=1, started="1-0")


def make(folder: Path, mark: Mark | bytes, seconds_ago: float = 0) -> Path:
    """Make the folder of a worker that has last shown a sign of life so long ago."""
    (folder / "attempt").mkdir(parents=True)
    (folder / "attempt" / "stdout").write_text("x")
    file = folder / "worker.json"
    file.write_bytes(mark if isinstance(mark, bytes) else mark.to_json())
    then = file.stat().st_mtime - seconds_ago
    os.utime(file, (then, then))
    return folder


def cleared(parent: Path) -> set[str]:
    """Let a worker start; return what it leaves there of others."""
    with own_folder(str(parent), "new") as own:
        remove_dead(own)
        return set(os.listdir(parent)) - {"new"}


def test_a_folder_says_whose_it_is(tmp_path: Path) -> None:
    with own_folder(str(tmp_path), "w") as own:
        mark = Mark.model_validate_json(Path(own, "worker.json").read_bytes())
    assert mark == HERE.model_copy(update={"host": os.uname().nodename})


def test_a_folder_lives_as_long_as_its_worker(tmp_path: Path) -> None:
    with own_folder(str(tmp_path), "w") as own:
        assert is_alive(own)
        assert is_there(own)
        Path(own, "attempt").mkdir()
        assert cleared(tmp_path) == {"w"}
        assert sorted(os.listdir(own)) == ["attempt", "worker.json"]
    assert not is_alive(own)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("mark", "seconds_ago", "stays"),
    [
        (HERE, 0, True),
        (HERE, 10 * DEAD_AFTER, True),  # frozen, perhaps: it may go on
        (ENDED, 0, False),
        (ELSEWHERE, DEAD_AFTER / 2, True),
        (ELSEWHERE, -DEAD_AFTER / 2, True),  # clocks that differ
        (ELSEWHERE, -DEAD_AFTER * 2, False),  # a clock that has jumped
        (HERE, -DEAD_AFTER * 2, True),
        (ELSEWHERE, DEAD_AFTER * 2, False),
        (b"", DEAD_AFTER / 2, True),  # torn by a power cut
        (b"", DEAD_AFTER * 2, False),
        (b'{"pid": "x"}', DEAD_AFTER * 2, False),
    ],
)
@pytest.mark.parametrize("name", ["w", ".w", ".w~"], ids=["made", "being made", "being removed"])
def test_who_is_dead(tmp_path: Path, mark: Mark | bytes, seconds_ago: float, stays: bool, name: str) -> None:
    """Processes tell on this machine, heartbeats elsewhere; locks, which may be local to a machine, tell nothing."""
    make(tmp_path / name, mark, seconds_ago)
    assert cleared(tmp_path) == ({name} if stays else set())


def test_a_process_that_has_ended_is_known_at_once(tmp_path: Path) -> None:
    code = "import os, sys; from pydoit_sc.store.folders import _make; _make(sys.argv[1], 'w', 0o775)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert os.listdir(tmp_path) == ["w"]
    assert not is_alive(str(tmp_path / "w"))
    assert cleared(tmp_path) == set()


def test_the_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "BEAT_EVERY", 0.01)
    monkeypatch.setattr(folders, "machine", lambda: "another machine")
    with own_folder(str(tmp_path), "w") as own:
        monkeypatch.undo()
        os.utime(f"{own}/worker.json", (0, 0))
        until(lambda: os.stat(f"{own}/worker.json").st_mtime > 0)
        assert cleared(tmp_path) == {"w"}


def test_a_frozen_worker_holds_nothing_for_long(tmp_path: Path) -> None:
    frozen = make(tmp_path / "f", HERE, DEAD_AFTER * 2)
    to_come = make(tmp_path / "c", ELSEWHERE, -86400)
    with own_folder(str(tmp_path), "w") as own:
        now = touch(own)
        assert who_lives(own, now).startswith("worker w on ")
        assert who_lives(str(to_come), now) == ""
        assert is_alive(str(to_come))  # this machine's clock may be behind
        assert who_lives(str(frozen), now) == who_lives(str(tmp_path / "none"), now) == ""
        assert is_alive(str(frozen))


def test_what_has_no_mark_of_ours_stays(tmp_path: Path) -> None:
    """Neither folders of somebody else, nor where symbolic links lead, nor what is in them."""
    attempts, home = tmp_path / "attempts", tmp_path / "home"
    for folder in (
        home / "thesis",
        home / ".ssh",
        attempts / "notes",
        attempts / ".notes",
        attempts / "away~",
    ):
        folder.mkdir(parents=True)
        (folder / "file").touch()
        os.utime(folder, (0, 0))
    (attempts / "file").touch()
    make(home / "worker", ENDED)
    (attempts / "link").symlink_to(home / "worker")
    (attempts / ".link").symlink_to(home)
    linked = attempts / "linked mark"
    linked.mkdir()
    (linked / "worker.json").symlink_to(home / "worker/worker.json")
    dead = make(attempts / "dead", ENDED)
    (dead / "results").symlink_to(home)
    (dead / "file").symlink_to(home / "thesis/file")
    assert cleared(attempts) == set(os.listdir(attempts)) - {"dead"}
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()) == [
        ".ssh/file", "thesis/file", "worker/attempt/stdout", "worker/worker.json"
    ]  # fmt: skip
    assert not dead.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another user")
def test_what_belongs_to_another_user_stays(tmp_path: Path) -> None:
    os.chown(make(tmp_path / "theirs", ENDED), 65534, -1)
    make(tmp_path / "ours", ENDED)
    assert cleared(tmp_path) == {"theirs"}


def test_a_scratch_disk_has_things_of_others(tmp_path: Path) -> None:
    for name in ("pydoit-sc-worker-1", "pydoit-sc-worker-of somebody else", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "pydoit-sc-worker-of somebody else" / "file").touch()
    (tmp_path / ".pydoit-sc-worker-3~").mkdir()  # its removal was interrupted
    make(tmp_path / "pydoit-sc-worker-2", ENDED)
    make(tmp_path / "not of this kind", ENDED)
    with scratch_folder(str(tmp_path), "4") as own:
        Path(own, "attempt").mkdir()
        assert os.stat(own).st_mode & 0o077 == 0
        left = {path.name.removeprefix("pydoit-sc-worker-") for path in tmp_path.iterdir()}
        assert left == {"1", "4", "of somebody else", "other", "not of this kind"}
    assert not os.path.exists(own)
