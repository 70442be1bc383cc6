"""Staging: where an archive goes, and what is not sent again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from pydoit_sc.sync.archive import tree_digest, write_archive
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import extract
from pydoit_sc.sync.remote import fetch
from pydoit_sc.sync.upload import FileSync, parse_sync, stage, staging_url


@pytest.mark.parametrize(
    ("text", "source", "dest"),
    [
        ("/home/j/workspace/sctest/", "/home/j/workspace/sctest", "/home/j/workspace/sctest"),
        ("src", "/here/src", "/wd/src"),
        ("src:code", "/here/src", "/wd/code"),
        ("./src/:/opt/code/", "/here/src", "/opt/code"),
        (".", "/here", "/wd"),
        ("../x", "/x", "/x"),
        ("a b:c d", "/here/a b", "/wd/c d"),
        ("/tmp/commands/:/tmp/commands/", "/tmp/commands", "/tmp/commands"),
        ("x://", "/here/x", "/"),
    ],
)
def test_syncs(text: str, source: str, dest: str) -> None:
    assert parse_sync(text, "/wd", "/here") == FileSync(source, dest)


def test_the_default_working_directory() -> None:
    assert parse_sync("src", None, "/here").dest == "/home/jovyan/workspace/src"


@pytest.mark.parametrize("text", ["", ":", ":b", "a:", "a:b:c", "a\nb", "a\0"])
def test_bad_syncs(text: str) -> None:
    with pytest.raises(SyncError):
        parse_sync(text)


def test_where_archives_go() -> None:
    base = "file:///home/jovyan/shared/hugo/test/sctest-base-dir"
    assert (
        staging_url(base, "/home/jovyan/workspace/sctest")
        == "file:///home/jovyan/shared/hugo/test/sctest-base-dir/home/jovyan/workspace/sctest/data.tar.gz"
    )
    assert staging_url("sfs://o/u/n/", "/tmp/x", "0a") == "sfs://o/u/n/tmp/x/data-0a.tar.gz"
    assert staging_url("/base", "/", "0a") == "file:///base/data-0a.tar.gz"
    assert staging_url("s3://b", "/x") == "s3://b/x/data.tar.gz"
    with pytest.raises(SyncError, match="chain"):
        staging_url("simplecache::s3://b", "/x")


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_unchanged_folders_are_neither_archived_nor_sent(
    tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "so[ur]ce *"
    source.mkdir()
    (source / "file").write_text("1")
    base = f"{scheme}://{tmp_path}/ba se[x]"
    sync = FileSync(str(source), "/opt/c*de?")
    first = stage(sync, base)
    assert (first.uploaded, first.dest) == (True, "/opt/c*de?")
    assert first.url.startswith(f"{base}/opt/c*de?/data-")
    with monkeypatch.context() as patched:
        patched.delattr("pydoit_sc.sync.upload.write_archive")
        assert stage(sync, base).uploaded is False
    (source / "file").write_text("2")
    second = stage(sync, base)
    assert (second.uploaded, second.url != first.url) == (True, True)
    for staged, content in ((first, "1"), (second, "2")):  # a job under way keeps what it was given
        fetch(staged.url, str(tmp_path / "fetched"), {})
        extract(str(tmp_path / "fetched"), str(tmp_path / "out"))
        assert (tmp_path / "out" / "file").read_text() == content
    assert stage(sync, base, ["file"]).url not in (first.url, second.url)


def test_a_folder_that_changes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("0")
    edits = iter(range(1, 99))

    def edited(*arguments: object) -> str:
        (source / "file").write_text(str(next(edits)))
        return write_archive(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("pydoit_sc.sync.upload.write_archive", edited)
    with pytest.raises(SyncError, match="its files change"):
        stage(FileSync(str(source), "/x"), str(tmp_path / "base"))
    assert not (tmp_path / "base").exists()
    edits = iter([1, 1])
    staged = stage(FileSync(str(source), "/x"), str(tmp_path / "base"))
    assert staged.url.endswith(f"{tree_digest(str(source))}.tar.gz")


def test_an_upload_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SyncError, match="No space left"):
        stage(FileSync(str(source), "/x"), f"file://{tmp_path}/base")
    assert os.listdir(tmp_path / "base" / "x") == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nothing://x/y", "Protocol not known"),
        ("memory://a/none", "no such file"),
        ("a::memory://b", "chain"),
    ],
)
def test_urls_that_cannot_be_fetched(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(SyncError, match=said):
        fetch(url, str(tmp_path / "file"), {})
    assert os.listdir(tmp_path) == []


def test_download_as_a_program(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "pydoit_sc.sync.download"]
    (tmp_path / "a[b]").write_text("x")
    subprocess.run([*program, f"local://{tmp_path}/a[b]", "-c"], cwd=tmp_path, check=True)
    assert (tmp_path / "-c").read_text() == "x"
    done = subprocess.run(
        [*program, "local:///none", "x"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "local:///none: no such file\n")
    done = subprocess.run([*program, "x"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "usage: python3 -m pydoit_sc.sync.download URL FILE\n")


@pytest.fixture(autouse=True)
def _empty_memory() -> None:
    fsspec.filesystem("memory").store.clear()
