"""What others can have made or changed, and what they may replace."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pydoit_sc import private
from pydoit_sc.private import foreign, is_ours, own_id, replaceable

FOLDER, LINK = stat.S_IFDIR, stat.S_IFLNK
OTHER = os.geteuid() + 1


@pytest.mark.parametrize(
    ("mode", "user", "why"),
    [
        (FOLDER | 0o700, os.geteuid(), ""),
        (FOLDER | 0o755, os.geteuid(), ""),
        (FOLDER | 0o720, os.geteuid(), "can be written by others"),
        (FOLDER | 0o702, os.geteuid(), "can be written by others"),
        (FOLDER | 0o700, OTHER, f"belongs to another user (uid {OTHER})"),
        (LINK | 0o777, os.geteuid(), "is a symlink"),
    ],
)
def test_foreign(mode: int, user: int, why: str) -> None:
    found = os.stat_result((mode, 0, 0, 1, user, 0, 0, 0, 0, 0))
    assert foreign(found) == why
    if user == OTHER:
        assert foreign(found, own=OTHER) == ""


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        (0o700, ""),
        (0o1777, ""),
        (0o777, "can be written by others and has no sticky bit"),
        (0o770, "can be written by others and has no sticky bit"),
    ],
)
def test_replaceable(tmp_path: Path, mode: int, why: str) -> None:
    tmp_path.chmod(mode)
    assert replaceable(str(tmp_path)) == why


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_replaceable_by_their_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, OTHER, -1)
    assert replaceable(str(tmp_path)) == f"belongs to another user (uid {OTHER})"


def test_what_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = tmp_path / "file", os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, OTHER, 0, 0, 0, 0, 0))
    file.touch()
    file.chmod(0o644)
    assert is_ours(os.lstat(file), str(tmp_path))
    assert not is_ours(other, str(tmp_path))
    file.chmod(0o664)
    assert not is_ours(os.lstat(file), str(tmp_path))
    assert not is_ours(os.lstat(file), str(tmp_path / "closed to us, or gone"))
    monkeypatch.setattr(private, "_new_file", lambda _: os.lstat(file))  # a file system without modes
    assert is_ours(os.lstat(file), str(tmp_path))
    assert not is_ours(other, str(tmp_path))
    monkeypatch.setattr(private, "_new_file", lambda _: other)  # root's id on NFS
    assert is_ours(other, str(tmp_path))


def test_own_id(tmp_path: Path) -> None:
    assert own_id(str(tmp_path)) == os.geteuid()
