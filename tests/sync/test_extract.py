"""Extraction against archives made to get out: nothing is written outside, and nothing at all from a bad archive."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import extract

Make = Callable[..., Path]


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.SYMTYPE, linkname=target)


def header(name: bytes = b"evil", kind: bytes = b"0", size: bytes = b"00000000000", **fields: bytes) -> bytes:
    """Return a header byte by byte, with a right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:107], block[124 : 124 + len(size)], block[156:157] = b"0000644", size, kind
    block[257:265] = b"ustar\x0000"
    for key, value in fields.items():
        at = {"linkname": 157, "prefix": 345, "mode": 100}[key]
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(**records: bytes) -> bytes:
    data = b""
    for key, value in records.items():
        body = b" " + key.replace("_", ".").encode() + b"=" + value + b"\n"
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length += 1
        data += str(length).encode() + body
    return data


END = bytes(1024)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(
        *entries: tuple[tarfile.TarInfo, bytes], raw: bytes | None = None, format_: int = tarfile.GNU_FORMAT
    ) -> Path:
        path = tmp_path / "archive.tar.gz"
        if raw is None:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
                for info, data in entries:
                    tar.addfile(info, io.BytesIO(data))
            raw = out.getvalue()
        path.write_bytes(gzip.compress(raw))
        return path

    return make


def refused(archive: Path, tmp_path: Path) -> str:
    """Extract, and return the error; check that nothing is in the destination and nothing beside it."""
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(SyncError) as caught:
        extract(str(archive), str(tmp_path / "dest" / "inner"))
    assert sorted(os.listdir(tmp_path)) == before
    return str(caught.value).removeprefix(f"{archive}: ")


GOOD = entry("good.txt", data=b"good")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("/abs/evil")], "'/abs/evil': an absolute name"),
        ([entry("//evil")], "an absolute name"),
        ([entry("../evil")], "'../evil': a name with `..`"),
        ([entry("a/../../evil")], "a name with `..`"),
        ([entry("a/..", tarfile.DIRTYPE)], "a name with `..`"),
        ([link("x", "..")], "a symlink to '..'"),
        ([link("x", "/etc"), entry("x/passwd")], "a symlink to '/etc'"),
        ([link("x", "../dest2")], "leads out"),
        ([entry("d", tarfile.DIRTYPE), link("l", "d"), link("m", "l/../..")], "leads out"),
        ([link("a/b", "../../x")], "leads out"),
        ([link("x", "")], "leads out"),
        ([entry("h", tarfile.LNKTYPE, linkname="/etc/passwd")], "'h': a hard link is not extracted"),
        ([GOOD, entry("h", tarfile.LNKTYPE, linkname="good.txt")], "a hard link"),
        ([entry("d", tarfile.CHRTYPE)], "a device"),
        ([entry("d", tarfile.BLKTYPE)], "a device"),
        ([entry("p", tarfile.FIFOTYPE)], "a named pipe"),
        ([entry("c", tarfile.CONTTYPE)], "type b'7'"),
        ([entry("s", tarfile.GNUTYPE_SPARSE)], "a sparse file"),
        ([entry("x", b"Z")], "type b'Z'"),
        ([entry("a"), entry("a")], "'a': is there twice"),
        ([entry("a"), entry("./a")], "'./a': is there twice"),
        ([entry("a", tarfile.DIRTYPE), link("a", "b")], "is there twice"),
        ([entry("a/b"), entry("a//b")], "is there twice"),
        ([entry(".")], "no name for a file"),
        ([link("./", "x")], "no name for a link"),
    ],
)
@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_entries_that_are_refused(make: Make, tmp_path: Path, entries: Any, said: str, format_: int) -> None:
    archive = make(entry("first.txt", data=b"x"), *entries, format_=format_)
    assert said in refused(archive, tmp_path)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "it is cut off"),
        (b"x" * 512, "checksum is wrong"),
        (header(size=b"00000000010"), "it is cut off"),
        (header(), "it is cut off"),
        (header() + END + header(b"after"), "something after its end"),
        (header(size=b"\xff" * 12), "a negative number"),
        (header(size=b"0000000000x"), "not octal"),
        (header(kind=b"5", size=b"00000000001") + padded(b"x") + END, "a folder with content"),
        (header(kind=b"2", size=b"00000000001", linkname=b"a") + padded(b"x") + END, "a link with content"),
        (header(kind=b"L", size=b"\x80" + b"\x7f" * 11), "an extended header of"),
        (header(kind=b"x", size=b"00077777777"), "an extended header of"),
        (header(kind=b"L", size=b"00000000010") + padded(b"../evil\0") + header(b"ok") + END, "a name with `..`"),
        (header(kind=b"L", size=b"00000000010") + padded(b"ok\0/evil") + header(b"ok") + END, "a NUL"),
        (header(kind=b"L", size=b"00000000003") + padded(b"ok\0"), "it is cut off"),
        (header(kind=b"L", size=b"00000000003") + padded(b"ok\0") + END, "after a header that announces"),
        (header(prefix=b"/abs") + END, "an absolute name"),
        (header(prefix=b"..") + END, "a name with `..`"),
    ],
)  # fmt: skip
def test_broken_and_twisted_headers(make: Make, tmp_path: Path, raw: bytes, said: str) -> None:
    assert said in refused(make(raw=raw), tmp_path)


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (b"x", pax(path=b"../evil"), "a name with `..`"),
        (b"x", pax(path=b"/evil"), "an absolute name"),
        (b"x", pax(path=b"a\0b"), "a NUL"),
        (b"x", pax(path=b"a") + pax(path=b"../b"), "`path` twice"),
        (b"x", pax(size=b"-1"), "a number is expected"),
        (b"x", pax(size=b"9" * 30), "a number is expected"),
        (b"x", pax(size=b"9999"), "it is cut off"),
        (b"x", pax(GNU_sparse_major=b"1"), "a sparse file"),
        (b"x", pax(GNU_sparse_name=b"../evil"), "a sparse file"),
        (b"g", pax(path=b"ok"), "a global header sets `path`"),
        (b"x", b"999 path=x\n", "a broken pax header"),
        (b"x", b"0 path=x\n", "a broken pax header"),
        (b"x", b"9 path=xy", "a broken pax header"),
        (b"x", b"path=x\n", "a number is expected"),
        (b"x", b"-5 path=x\n", "a number is expected"),
    ],
)
def test_pax_tricks(make: Make, tmp_path: Path, kind: bytes, data: bytes, said: str) -> None:
    raw = header(b"pax", kind, b"%011o" % len(data)) + padded(data) + header(b"ok") + END
    assert said in refused(make(raw=raw), tmp_path)


def test_two_headers_that_disagree(make: Make, tmp_path: Path) -> None:
    data = pax(path=b"a")
    raw = (
        header(kind=b"L", size=b"00000000002")
        + padded(b"b\0")
        + header(b"p", b"x", b"%011o" % len(data))
        + padded(data)
    )
    assert "`path` twice" in refused(make(raw=raw + header() + END), tmp_path)


def test_archives_that_are_cut_off_or_damaged(make: Make, tmp_path: Path) -> None:
    archive = make(entry("a", data=os.urandom(100_000)))
    whole = archive.read_bytes()
    for data in (
        whole[:-4],
        whole[:50_000],
        whole[:5],
        b"",
        b"plain text",
        whole[:-8] + bytes(8),
        whole[:60_000] + b"x" + whole[60_001:],
    ):
        archive.write_bytes(data)
        assert refused(archive, tmp_path)


@pytest.mark.parametrize("name", ["evil", "evil/file", "evil/deeper/file"])
def test_links_of_the_archive_are_not_followed(make: Make, tmp_path: Path, name: str) -> None:
    """The name `evil` exists as a link, by a rule of ours it stays in the tree, and still nothing goes through it."""
    archive = make(entry("target", tarfile.DIRTYPE), link("evil", "target"), entry(f"{name}/x", data=b"evil"))
    with pytest.raises(SyncError, match="something else stands in its place"):
        extract(str(archive), str(tmp_path / "dest"))
    assert os.listdir(tmp_path / "dest" / "target") == []


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_links_of_the_destination_are_not_followed(make: Make, tmp_path: Path, kind: str) -> None:
    dest, outside = tmp_path / "dest", tmp_path / "outside"
    dest.mkdir()
    outside.mkdir()
    (dest / "sub").symlink_to(outside)
    put = {"file": entry("sub/x"), "folder": entry("sub/x", tarfile.DIRTYPE), "link": link("sub/x", "y")}[
        kind
    ]
    with pytest.raises(SyncError, match=r"'sub/x/?': something else stands in its place"):
        extract(str(make(put)), str(dest))
    with pytest.raises(SyncError, match="'sub/'"):
        extract(str(make(entry("sub", tarfile.DIRTYPE))), str(dest))
    assert os.listdir(outside) == []


def test_a_file_replaces_a_link_and_not_what_it_leads_to(make: Make, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    (tmp_path / "precious").write_text("precious")
    (dest / "good.txt").symlink_to(tmp_path / "precious")
    assert extract(str(make(GOOD)), str(dest)) == 1
    assert (tmp_path / "precious").read_text() == "precious"
    assert (dest / "good.txt").read_text() == "good"
    assert not (dest / "good.txt").is_symlink()


def test_the_path_length_trick(make: Make, tmp_path: Path) -> None:
    """CVE-2025-4517: a chain of links so long that its resolution gives up, then a link and a file through it."""
    part = "d" * 247
    entries, path, short = [], "", "abcdefghijklmnop"
    for letter in short:
        entries += [entry(f"{path}{part}", tarfile.DIRTYPE), link(f"{path}{letter}", part)]
        path += f"{part}/"
    linkpath = "/".join(short) + "/" + "l" * 254
    entries += [
        link(linkpath, "../" * len(short)),
        link("escape", f"{linkpath}/../../outside"),
        entry("escape/evil"),
    ]
    (tmp_path / "outside").mkdir()
    assert "leads out" in refused(make(*entries), tmp_path)
    with pytest.raises(SyncError, match="something else stands in its place"):  # through a link, without `..`
        extract(str(make(*entries[:-2], entry("a/b/evil", data=b"x"))), str(tmp_path / "dest"))
    assert os.listdir(tmp_path / "outside") == []


def test_very_long_names(make: Make, tmp_path: Path) -> None:
    deep = "/".join(["d" * 200] * 40)  # 8 kB, twice what a path may have
    assert extract(str(make(entry(f"{deep}/file", data=b"x"))), str(tmp_path / "dest")) == 1
    folder = tmp_path / "dest"
    assert subprocess.check_output(["find", folder, "-name", "file"]).count(b"/") > 40
    subprocess.check_call(["rm", "-rf", folder])
    with pytest.raises(SyncError, match="File name too long"):
        extract(str(make(entry("n" * 256))), str(tmp_path / "dest"))
    with pytest.raises(SyncError, match="a name of more than 256 folders"):
        extract(str(make(entry("d/" * 257 + "x"))), str(tmp_path / "dest"))


def test_modes(make: Make, tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        archive = make(
            entry("s", mode=0o6777),
            entry("r", mode=0o444),
            entry("d", tarfile.DIRTYPE, mode=0o1000),
            entry("d/x"),
        )
        extract(str(archive), str(tmp_path / "dest"))
    finally:
        os.umask(old)
    modes = {name: (tmp_path / "dest" / name).stat().st_mode & 0o7777 for name in ("s", "r", "d")}
    assert modes == {"s": 0o755, "r": 0o444, "d": 0o700}


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_others_write_is_read(make: Make, tmp_path: Path, format_: int) -> None:
    long = "/".join(["folder" * 10] * 3) + "/file"
    archive = make(
        entry("./", tarfile.DIRTYPE),
        entry("./a/", tarfile.DIRTYPE),
        entry("a/big", data=b"x" * 1_000_001, mtime=1234567890.5 if format_ == tarfile.PAX_FORMAT else 5),
        entry(long, data=b"long"),
        link("a/l", "big"),
        entry("ü漢" if format_ != tarfile.USTAR_FORMAT else "u", data=b"unicode"),
        format_=format_,
    )
    extract(str(archive), str(tmp_path / "dest"))
    assert (tmp_path / "dest" / "a" / "l").read_bytes() == b"x" * 1_000_001
    assert (tmp_path / "dest" / long).read_text() == "long"


@pytest.mark.parametrize("format_", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_gnu_tar_writes_is_read(tmp_path: Path, format_: str) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "file").write_text("content")
    (source / "link").symlink_to("sub/file")
    archive = tmp_path / "a.tar.gz"
    subprocess.check_call(["tar", f"--format={format_}", "-czf", archive, "-C", source, "."])
    assert extract(str(archive), str(tmp_path / "dest")) == 3
    assert (tmp_path / "dest" / "link").read_text() == "content"


def test_files_are_replaced_and_others_left(make: Make, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / "good.txt").write_text("old")
    (dest / "mine.txt").write_text("mine")
    inode = (dest / "good.txt").stat().st_ino
    extract(str(make(GOOD)), str(dest))
    assert (dest / "good.txt").stat().st_ino != inode  # renamed over, so a reader sees one or the other
    assert sorted(os.listdir(dest)) == ["good.txt", "mine.txt"]
    (dest / "good.txt").unlink()
    (dest / "good.txt").mkdir()
    with pytest.raises(SyncError, match=r"'good\.txt': something else stands in its place"):
        extract(str(make(GOOD)), str(dest))
    assert sorted(os.listdir(dest)) == ["good.txt", "mine.txt"]


def test_as_a_program(make: Make, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "pydoit_sc.sync.extract"]
    assert subprocess.run([*program, make(GOOD), tmp_path / "dest"], check=False).returncode == 0
    done = subprocess.run([*program, "none", "x"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "none: none: No such file or directory\n")
    done = subprocess.run(program, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "usage: python3 -m pydoit_sc.sync.extract ARCHIVE DEST\n")
