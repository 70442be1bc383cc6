"""Extraction: the digest in the name comes first, then the standard library's data filter."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import archive_name, digest_in_name, digest_of, extract

Make = Callable[..., Path]
Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def link(name: str, target: str) -> Entry:
    return entry(name, tarfile.SYMTYPE, linkname=target)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes an archive with the right name from these entries."""

    def make(*entries: Entry) -> Path:
        path = tmp_path / "archive"
        with tarfile.open(path, "w:gz") as tar:
            for info, data in entries:
                tar.addfile(info, io.BytesIO(data))
        return path.rename(tmp_path / archive_name(digest_of(str(path))))

    return make


def refused(archive: Path, tmp_path: Path) -> str:
    """Extract, and return the error; check that nothing was written outside of the destination."""
    before = {*os.listdir(tmp_path), "dest"}
    with pytest.raises(SyncError) as caught:
        extract(str(archive), str(tmp_path / "dest" / "inner"))
    assert before >= set(os.listdir(tmp_path))
    assert not (tmp_path / "dest").exists() or os.listdir(tmp_path / "dest") == ["inner"]
    return str(caught.value).removeprefix(f"{archive}: ")


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda _: b""])
def test_another_content_than_the_name_says(
    make: Make, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    archive = make(entry("good.txt", data=b"good"))
    archive.write_bytes(change(archive.read_bytes()))
    assert refused(archive, tmp_path) == "its content is not what its name says"
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize(
    "name", ["data.tar.gz", "data-0a.tar.gz", f"data-{'0' * 64}.tar", f"x{archive_name('0' * 64)}"]
)
def test_a_name_without_a_digest(make: Make, tmp_path: Path, name: str) -> None:
    archive = make(entry("good.txt", data=b"good")).rename(tmp_path / name)
    assert refused(archive, tmp_path) == "expected the name of an archive, data-SHA256.tar.gz"
    assert not (tmp_path / "dest").exists()


def test_the_digest_of_a_url() -> None:
    assert digest_in_name(f"s3://bucket/a/{archive_name('0a' * 32)}") == "0a" * 32


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("../evil")], "outside the destination"),
        ([entry("a/../../evil")], "outside the destination"),
        ([link("x", "/etc"), entry("x/passwd")], "absolute path"),
        ([link("x", "../../outside")], "outside the destination"),
        ([link("a/b", "../../../x")], "outside the destination"),
        ([entry("h", tarfile.LNKTYPE, linkname="/etc/passwd")], "absolute path"),
        ([entry("h", tarfile.LNKTYPE, linkname="../../outside")], "outside the destination"),
        ([entry("d", tarfile.CHRTYPE)], "special file"),
        ([entry("d", tarfile.BLKTYPE)], "special file"),
        ([entry("p", tarfile.FIFOTYPE)], "special file"),
    ],
)
def test_entries_that_would_lead_out(make: Make, tmp_path: Path, entries: list[Entry], said: str) -> None:
    assert said in refused(make(*entries), tmp_path)


def test_absolute_names_stay_inside(make: Make, tmp_path: Path) -> None:
    extract(str(make(entry(f"{tmp_path}/evil", data=b"x"))), str(tmp_path / "dest"))
    assert not (tmp_path / "evil").exists()
    assert (tmp_path / "dest" / str(tmp_path).lstrip("/") / "evil").read_text() == "x"


def test_links_of_the_destination_are_not_followed(make: Make, tmp_path: Path) -> None:
    (tmp_path / "dest" / "inner").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "dest" / "inner" / "sub").symlink_to(tmp_path / "outside")
    assert "outside the destination" in refused(make(entry("sub/x")), tmp_path)
    assert os.listdir(tmp_path / "outside") == []


def test_modes_and_times(make: Make, tmp_path: Path) -> None:
    archive = make(
        entry("s", mode=0o6755), entry("d", tarfile.DIRTYPE, mode=0o7777), entry("d/x", mode=0o1644)
    )
    extract(str(archive), str(tmp_path / "dest"))
    modes = {name: (tmp_path / "dest" / name).stat().st_mode & 0o7777 for name in ("s", "d", "d/x")}
    assert (modes["s"], modes["d"] & 0o7000, modes["d/x"]) == (0o755, 0, 0o644)
    assert (tmp_path / "dest" / "s").stat().st_mtime > 1_000_000_000


def test_an_old_python_refuses(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make(entry("good.txt", data=b"good"))
    monkeypatch.delattr(tarfile, "data_filter")
    assert "Python 3.10.12, 3.11.4, 3.12 or newer is needed" in refused(archive, tmp_path)
    assert not (tmp_path / "dest").exists()


def test_files_that_cannot_be_read_or_written(make: Make, tmp_path: Path) -> None:
    missing = tmp_path / archive_name("0" * 64)
    assert refused(missing, tmp_path) == "No such file or directory"
    (tmp_path / "dest").write_text("in the way")
    with pytest.raises(SyncError, match=f"^{tmp_path}/dest/good.txt: Not a directory"):
        extract(str(make(entry("good.txt", data=b"good"))), str(tmp_path / "dest"))
    plain = tmp_path / "plain"
    plain.write_bytes(b"plain text")
    with pytest.raises(SyncError, match="not a gzip file"):
        extract(str(plain.rename(tmp_path / archive_name(digest_of(str(plain))))), str(tmp_path / "d2"))
