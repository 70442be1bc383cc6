"""Single files from any URL."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.remote import fetch, is_whole, put


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
    with pytest.raises(SyncError, match="Protocol not known: …"):
        fetch("dir://x/y", str(tmp_path / "file"), {"target_protocol": "canary"})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("scheme", ["file", "local", "memory"])
def test_files_come_back_whole(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "a[b]*").write_text("x")
    url = f"{scheme}://{tmp_path}/new/c[d]?"
    put(str(tmp_path / "a[b]*"), url, {})
    fetch(url, str(tmp_path / "fetched"), {})
    assert (tmp_path / "fetched").read_text() == "x"


class Told:
    """What saturnfs tells of a file: no mapping."""

    def __init__(self, found: dict[str, object]) -> None:
        self._found = found

    def __getitem__(self, key: str) -> object:
        return self._found[key]


class Saturn(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """Files in memory, told of as by saturnfs."""

    protocol = "saturn-like"

    def info(self, path: str, **options: object) -> Told:
        return Told(super().info(path, **options))


def test_what_is_whole(tmp_path: Path) -> None:
    fsspec.register_implementation("saturn-like", Saturn, clobber=True)
    (tmp_path / "a").write_text("x")
    for url in (f"file://{tmp_path}/b", "memory://whole/b", "saturn-like://whole/c"):
        assert not is_whole(url, 0, {})
        put(str(tmp_path / "a"), url, {})
        assert is_whole(url, 1, {})
        assert not is_whole(url, 2, {})
