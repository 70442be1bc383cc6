"""Archives: the same bytes for the same tree, nothing that cannot travel, and the names that stand for contents."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from pydoit_sc.sync.archive import leaves_tree, write_archive
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import archive_name, extract


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "package" / "empty").mkdir(parents=True)
    (root / "package" / "module.py").write_text("x = 1\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("package/module.py")
    (root / "package" / "up").symlink_to("../run.sh")
    (root / ("long" * 50)).mkdir()
    (root / ("long" * 50) / ("name" * 50)).write_text("long")
    (root / "ü漢\n '$(x)").write_text("hostile")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).write_text("bytes")
    return root


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def write(root: Path, path: Path, *patterns: str) -> str:
    return write_archive(str(root), str(path), patterns)


def named(root: Path, folder: Path) -> str:
    """Write the archive of a tree into a folder under its own name, and return its path."""
    os.rename(folder / "unnamed", path := folder / archive_name(write(root, folder / "unnamed")))
    return str(path)


def listing(root: Path) -> dict[str, tuple[str, int, str]]:
    """Return what a tree holds, as digests."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            content = (
                os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_bytes().hex()
            )
            found[str(path.relative_to(root))] = (content, mode, "")
    return found


def test_the_bytes_depend_on_the_tree_alone(tree: Path, tmp_path: Path) -> None:
    first = write(tree, tmp_path / "a")
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in sorted(os.listdir(tree), reverse=True):  # made in another order, at another time
        source = tree / name
        if source.is_dir():
            shutil.copytree(source, other / name, symlinks=True)
        else:
            shutil.copy2(source, other / name, follow_symlinks=False)
    os.utime(other / "run.sh", (1, 1))
    assert write(other, tmp_path / "b") == first == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "run.sh").write_text("#!/bin/bash\n"),
        lambda root: (root / "run.sh").chmod(0o644),
        lambda root: (root / "run.sh").rename(root / "run2.sh"),
        lambda root: (root / "package" / "empty").rmdir(),
        lambda root: ((root / "link").unlink(), (root / "link").symlink_to("run.sh")),
        lambda root: (root / "new").touch(),
        lambda root: ((root / "link").unlink(), (root / "link").write_text("package/module.py")),
    ],
)
def test_the_digest_changes_with_the_tree(
    tree: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    before = write(tree, tmp_path / "a")
    change(tree)
    assert write(tree, tmp_path / "a") != before


def test_it_comes_back_by_our_own_extraction_and_by_tar(tree: Path, tmp_path: Path) -> None:
    archive = named(tree, tmp_path)
    extract(archive, str(tmp_path / "ours"))
    (tmp_path / "tar").mkdir()
    subprocess.check_call(["tar", "-xzmf", archive, "-C", tmp_path / "tar"])
    assert listing(tmp_path / "ours") == listing(tmp_path / "tar") == listing(tree)


def test_nothing_of_this_machine_is_in_it(tree: Path, tmp_path: Path) -> None:
    write(tree, tmp_path / "a")
    with tarfile.open(tmp_path / "a") as tar:
        found = tar.getmembers()
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in found} == {
        (0, 0, "", "", 315_619_200)
    }
    assert [one.name for one in found] == sorted(
        (one.name for one in found), key=lambda name: os.fsencode(name).split(b"/")
    )
    assert (tmp_path / "a").read_bytes()[4:8] == bytes(4)


def test_excludes(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    for name in (
        ".git/config", ".idea/x", "a/__pycache__/x.pyc", ".venv/bin/python", "a/.ipynb_checkpoints/x", ".mypy_cache/x",
        ".pytest_cache/x", ".ruff_cache/x", "a/keep.py", "data/big.bin", "data/keep/big.bin", "notes.txt", "not.git/x", "build/out",
    ):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "sub").mkdir()
    (root / "sub" / ".git").write_text("gitdir: elsewhere")  # as in a submodule
    write(root, tmp_path / "a")
    assert [name for name in names(tmp_path / "a") if "." in name] == [
        "a/keep.py", "data/big.bin", "data/keep/big.bin", "not.git", "not.git/x", "notes.txt"
    ]  # fmt: skip
    write(root, tmp_path / "b", "*.bin", "!data/keep/*.bin", "/build/", "notes.*", "!.venv", "# comment", "")
    assert names(tmp_path / "b") == [
        ".venv", ".venv/bin", ".venv/bin/python", "a", "a/keep.py", "data", "data/keep", "data/keep/big.bin",
        "not.git", "not.git/x", "sub",
    ]  # fmt: skip


def test_all_that_cannot_travel_is_named_at_once(tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tree / "pipe")
    (tree / "out").symlink_to("../elsewhere")
    (tree / "absolute").symlink_to(tree / "run.sh")
    (tree / "package" / "sneaky").symlink_to("empty/../../../x")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(tree)
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        with pytest.raises(SyncError) as caught:
            write(tree, tmp_path / "a")
        text = str(caught.value)
        assert "5 of its entries cannot be sent" in text
        assert [line.split(":")[0].strip() for line in text.splitlines()[1:]] == [
            "'absolute'", "'out'", "'package/sneaky'", "'pipe'", "'socket'"
        ]  # fmt: skip
        assert "a named pipe" in text
        assert "a socket" in text
        assert not (tmp_path / "a").exists()
        write(tree, tmp_path / "a", "pipe", "socket", "out", "absolute", "sneaky")


@pytest.mark.parametrize(
    ("name", "target", "leaves"),
    [
        ("a", "b", False), ("a/b", "../c", False), ("a/b/c", "../../d", False), ("a", "./b", False), ("a", "missing", False),
        ("a", ".", False), ("a/b", "..", False),
        ("a", "..", True), ("a", "../b", True), ("a/b", "../../c", True), ("a", "/etc", True), ("a", "b/../../c", True),
        ("a/b", "c/../..", True), ("a", "", True), ("./a", "../x", True), ("a//b", "../../x", True),
    ],
)  # fmt: skip
def test_links_that_leave(name: str, target: str, leaves: bool) -> None:
    assert leaves_tree(name, target) is leaves


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SyncError, match="file: not a folder"):
        write(tmp_path / "file", tmp_path / "a")
    with pytest.raises(SyncError, match="none: no such folder"):
        write(tmp_path / "none", tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"x" * 9000, b"y" * 5000])
def test_a_file_that_changes_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """It gets shorter, longer, or another content while it is read."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(bytes(5000))
    real = tarfile.TarFile.addfile

    def addfile(tar: tarfile.TarFile, info: tarfile.TarInfo, file: IO[bytes] | None = None) -> None:
        (tmp_path / "tree" / "file").write_bytes(content)
        real(tar, info, file)

    monkeypatch.setattr(tarfile.TarFile, "addfile", addfile)
    with pytest.raises(SyncError, match="file: changed while it was read"):
        write(tmp_path / "tree", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with open(tmp_path / "tree" / "large", "wb") as file:
        file.truncate(60 << 20)
    tracemalloc.start()
    try:
        extract(named(tmp_path / "tree", tmp_path), str(tmp_path / "out"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20
    assert (
        hashlib.sha256((tmp_path / "out" / "large").read_bytes()).digest()
        == hashlib.sha256(bytes(60 << 20)).digest()
    )
