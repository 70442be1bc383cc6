"""Digests of files that are kept: nothing is read twice, and no change is missed."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path

import pytest

from pydoit_sc import keptdigests
from pydoit_sc.keptdigests import KEPT_IN, KeptDigests

SIZE = 9 << 20
OLD = 1_700_000_000


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(SIZE))
    os.utime(path, (OLD, OLD))
    return path


def again(folder: Path) -> tuple[str, int]:
    """Return the digest as the next start finds it, and how many bytes it has read."""
    before = bytes_read()
    digests = KeptDigests(folder)
    digest = digests.of("large.bin")
    read = bytes_read() - before
    digests.save()
    return digest, read


def test_a_large_file_is_read_once(large: Path) -> None:
    digest, read = again(large.parent)
    assert (digest, read > SIZE) == (blake2b(bytes(SIZE), digest_size=16).hexdigest(), True)
    assert again(large.parent)[0] == digest
    assert again(large.parent)[1] < SIZE


@pytest.mark.parametrize("how", ["content", "replaced", "grown"])
def test_a_change_is_seen(large: Path, how: str) -> None:
    before, _ = again(large.parent)
    if how == "replaced":
        large.unlink()
    large.write_bytes(b"x" * (SIZE + (how == "grown")))
    os.utime(large, (OLD, OLD))
    assert again(large.parent)[0] == blake2b(large.read_bytes(), digest_size=16).hexdigest() != before


def test_the_latest_that_were_read_are_kept(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*names: str) -> None:
        digests = KeptDigests(large.parent)
        for name in names:
            path = large.parent / name
            path.write_bytes(bytes(SIZE))  # its time of change is another one
            os.utime(path, (OLD, OLD))
            digests.of(name)
        digests.save()

    read("a", "b", "c")
    monkeypatch.setattr(keptdigests, "_MOST", 2)
    read("a")
    assert [*json.loads((large.parent / KEPT_IN).read_text())] == ["c", "a"]


def test_what_has_just_been_modified_is_not_kept(large: Path) -> None:
    os.utime(large)
    again(large.parent)
    assert not (large.parent / KEPT_IN).exists()


def test_small_inputs_leave_no_file(tmp_path: Path) -> None:
    for n in range(10):
        (tmp_path / f"{n}").write_text("x")
        os.utime(tmp_path / f"{n}", (OLD, OLD))
    digests = KeptDigests(tmp_path)
    assert len({digests.of(f"{n}") for n in range(10)}) == 1
    digests.save()
    assert not (tmp_path / KEPT_IN).exists()


@pytest.mark.parametrize(
    "spoilt", ["", "[1]", "{", '{"large.bin": 3}', '{"large.bin": []}', "[" * 100_000, None]
)
def test_a_spoilt_file_is_as_none(large: Path, spoilt: str | None) -> None:
    digest, _ = again(large.parent)
    kept = large.parent / KEPT_IN
    stamp = json.loads(kept.read_text())["large.bin"]
    kept.write_text(json.dumps({"large.bin": [*stamp[:-1], 7]}) if spoilt is None else spoilt)
    found, read = again(large.parent)
    assert found == digest and read > SIZE


def test_a_folder_that_nobody_can_write_to(large: Path) -> None:
    (large.parent / KEPT_IN).mkdir()
    assert again(large.parent)[0] == again(large.parent)[0]
