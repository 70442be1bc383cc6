"""Staging: where an archive goes, and what is not sent again."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import digest_in_name, digest_of, extract
from pydoit_sc.sync.remote import fetch
from pydoit_sc.sync.upload import Archive, FileSync, find, parse_sync, stage, staging_url


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
        staging_url(base, "/home/jovyan/workspace/sctest", "0a")
        == "file:///home/jovyan/shared/hugo/test/sctest-base-dir/home/jovyan/workspace/sctest/data-0a.tar.gz"
    )
    assert staging_url("sfs://o/u/n/", "/tmp/x", "0a") == "sfs://o/u/n/tmp/x/data-0a.tar.gz"
    assert staging_url("/base", "/", "0a") == "file:///base/data-0a.tar.gz"
    with pytest.raises(SyncError, match="chain"):
        staging_url("simplecache::s3://b", "/x", "0a")


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_unchanged_folders_are_not_sent_again(
    tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "so[ur]ce *"
    source.mkdir()
    (source / "file").write_text("1")
    base = f"{scheme}://{tmp_path}/ba se[x]"
    sync = FileSync(str(source), "/opt/c*de?")
    assert find(sync, base) is None
    first = stage(sync, base)
    assert (first.uploaded, first.dest) == (True, "/opt/c*de?")
    assert first.url.startswith(f"{base}/opt/c*de?/data-")
    with monkeypatch.context() as patched:
        patched.delattr("pydoit_sc.sync.remote.put")
        assert stage(sync, base) == find(sync, base) == Archive(first.url, first.dest, uploaded=False)
    (source / "file").write_text("2")
    second = stage(sync, base)
    assert (second.uploaded, second.url != first.url) == (True, True)
    for staged, content in ((first, "1"), (second, "2")):  # a job under way keeps what it was given
        archive = str(tmp_path / staged.url.rpartition("/")[2])
        fetch(staged.url, archive, {})
        assert digest_of(archive) == digest_in_name(staged.url)
        extract(archive, str(tmp_path / "out"))
        assert (tmp_path / "out" / "file").read_text() == content
    assert stage(sync, base, ["file"]).url not in (first.url, second.url)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_part_that_an_interrupted_upload_has_left_is_sent_again(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "source").mkdir()
    sync, base = FileSync(str(tmp_path / "source"), "/x"), f"{scheme}://{tmp_path}/base"
    url = stage(sync, base).url
    with fsspec.open(url, "rb") as file:
        whole = file.read()
    with fsspec.open(url, "wb") as file:
        file.write(whole[:-1])
    assert find(sync, base) is None
    assert stage(sync, base) == Archive(url, "/x")
    with fsspec.open(url, "rb") as file:
        assert file.read() == whole


def test_an_upload_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SyncError, match="No space left"):
        stage(FileSync(str(source), "/x"), f"file://{tmp_path}/base")
    assert os.listdir(tmp_path / "base" / "x") == []


@pytest.fixture(autouse=True)
def _empty_memory() -> None:
    fsspec.filesystem("memory").store.clear()
