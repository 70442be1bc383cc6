"""Files that somebody has put into a store where ours are expected: nobody waits for them, or reads without an end."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.store import StoreError
from pydoit_sc.store.copying import regular_files
from pydoit_sc.store.layout import LARGEST, Record
from pydoit_sc.store.posix import PosixStore
from tests.conftest import Box


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(50 << 30)


SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "zeros": lambda path: path.symlink_to("/dev/zero"),
    "huge": _sparse,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "loop": lambda path: path.symlink_to(path.name),
}

#: What cannot be opened is told as the outcome of its run that cannot be read.
UNREADABLE = ("socket", "loop")

#: Where each of them is put, below the store.
PLACES = (
    "a/1/status_code",
    "a/2/run.json",
    "a/3/stdout",
    ".pydoit_sc/attempts/w/lock",
    ".pydoit_sc/attempts/w/running.json",
    ".pydoit_sc/submitted/s.json",
)


def _plant(root: Path, kind: str) -> None:
    for n in "123":
        (root / "a" / n).mkdir(parents=True, exist_ok=True)
        (root / "a" / n / "status_code").write_text("0")
    for place in PLACES:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        SPECIAL[kind](path)


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_store_with_special_files(tmp_path: Path, kind: str) -> None:
    _plant(tmp_path, kind)
    store = PosixStore(str(tmp_path))
    if kind in UNREADABLE:
        found = store.scan(["a/1", "a/2", "a/3"])
        assert [record.code for record in found.values()] == [None, None, 0]
        assert "its outcome cannot be read: status_code: " in found["a/1"].reason
        assert "its outcome cannot be read: run.json: " in found["a/2"].reason
    else:
        records = {"a/1": Record(None), "a/2": Record(0), "a/3": Record(0)}
        assert store.scan(records) == records
        assert store.peek("a/1") == Record(None)
        assert [key for key, _ in store.contents(["a/1", "a/2"])] == ["a/1", "a/2"]
    assert store.running() == {}
    assert store.files("a/3").keys() == {"status_code", "stdout"}
    if kind != "huge":  # which is streamed
        with pytest.raises(StoreError, match=r"a/3/stdout: "):
            store.open("a/3", "stdout")
    with pytest.raises(FileNotFoundError, match=r"submitted/s.json"):  # no note of ours
        store.read_note("submitted/s.json")
    with store.workspace("worker", None) as folder:
        assert os.path.isdir(folder)


@pytest.mark.parametrize("kind", ["pipe", "huge", "zeros"])
def test_what_lies_beside_an_outcome_with_a_special_file(tmp_path: Path, kind: str) -> None:
    _plant(tmp_path, kind)
    (tmp_path / "a/2/notes").touch()
    assert PosixStore(str(tmp_path)).beside(["a/1", "a/2"]).keys() == {"a/2"}


def test_a_pipe_that_somebody_holds_open(tmp_path: Path) -> None:
    _plant(tmp_path, "pipe")
    held = os.open(tmp_path / "a/1/status_code", os.O_RDWR)
    assert PosixStore(str(tmp_path)).scan(["a/1"]) == {"a/1": Record(None)}
    os.close(held)


def test_a_long_document_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/status_code").write_text("0")
    (tmp_path / "a/run.json").write_text('{"fingerprint": "f", "attempt": "w-1"' + " " * 300_000 + "}")
    assert PosixStore(str(tmp_path)).scan(["a"]) == {"a": Record(0, "w-1", "f")}
    os.truncate(tmp_path / "a/run.json", LARGEST + 1)
    assert PosixStore(str(tmp_path)).scan(["a"]) == {"a": Record(0)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECIAL)
def test_commands_beside_special_files(stages: Box, kind: str) -> None:
    stages.ok()
    _plant(stages.folder / "out", kind)
    for command, codes in {
        "plan": {0},
        "summarize-batch": {0},
        "verify": {1},
        "verify --read": {1},
        "list --status": {0},
        "logs a:1 --follow": {0},
        "submissions": {0, 3},
        "run": {0, 1, 2},
    }.items():
        done = stages.shell(f"ulimit -v 4000000; timeout 30 pydoit-sc {command}")
        assert "Traceback" not in done.err
        assert done.code in codes or (kind in UNREADABLE and command.startswith("logs") and done.code == 3), (
            done
        )


def test_a_result_that_cannot_be_read_just_now_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of links only those to nothing are."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "nowhere").symlink_to("none")
    (tmp_path / "itself").symlink_to("itself")
    assert sorted(name for name, _ in regular_files(str(tmp_path))) == ["file", "link"]
    stat = os.stat

    def broken(path: str) -> os.stat_result:
        if str(path).endswith("link"):
            raise OSError(errno.EIO, "broken", path)
        return stat(path)

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(OSError, match="broken"):
        list(regular_files(str(tmp_path)))
