"""Single files from any URL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.remote import fetch, put


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


@pytest.mark.parametrize("scheme", ["file", "local", "memory"])
def test_files_come_back_whole(tmp_path: Path, scheme: str) -> None:
    (tmp_path / "a[b]*").write_text("x")
    url = f"{scheme}://{tmp_path}/new/c[d]?"
    put(str(tmp_path / "a[b]*"), url, {})
    fetch(url, str(tmp_path / "fetched"), {})
    assert (tmp_path / "fetched").read_text() == "x"
