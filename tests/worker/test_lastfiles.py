"""What a run has left is seen, and its last files are written, in the same way by the library in C and by Python."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pydoit_sc.native import load
from pydoit_sc.worker.lastfiles import LastFiles, QuickLastFiles


@pytest.fixture(params=["library", "python"])
def last(request: pytest.FixtureRequest) -> LastFiles:
    if request.param == "python":
        return LastFiles()
    return QuickLastFiles(load(str(request.getfixturevalue("library"))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "ä"
    (folder / "results").mkdir(parents=True)
    (folder / "stdout").write_bytes(b"x" * 70_000)
    (folder / "stderr").touch()
    return folder


def test_a_run_that_has_written_nothing_else_is_plain(last: LastFiles, folder: Path) -> None:
    assert last.plain_sizes(str(folder)) == {"stdout": 70_000, "stderr": 0}


def test_one_of_more_than_2_gib_is_plain(last: LastFiles, folder: Path) -> None:
    os.truncate(folder / "stderr", 5 << 30)
    assert last.plain_sizes(str(folder)) == {"stdout": 70_000, "stderr": 5 << 30}


def more(folder: Path) -> None:
    (folder / "more").touch()


def many(folder: Path) -> None:
    for number in range(300):
        (folder / f"{number:0200}").touch()


def instead(folder: Path) -> None:
    (folder / "stdout").rename(folder / "elsewhere")


def results(folder: Path) -> None:
    (folder / "results" / ".hidden").touch()


def link(folder: Path) -> None:
    (folder / "stderr").unlink()
    (folder / "stderr").symlink_to("stdout")


def linked_results(folder: Path) -> None:
    (folder / "results").rmdir()
    (folder / "results").symlink_to("/proc/self/fdinfo/..")


def pipe(folder: Path) -> None:
    (folder / "stdout").unlink()
    os.mkfifo(folder / "stdout")


def no_folder(folder: Path) -> None:
    (folder / "results").rmdir()
    (folder / "results").touch()


@pytest.mark.parametrize("change", [more, many, instead, results, link, linked_results, pipe, no_folder])
def test_a_run_that_has_written_more_or_less_is_not(last: LastFiles, folder: Path, change: object) -> None:
    assert callable(change)
    change(folder)
    assert last.plain_sizes(str(folder)) is None


def test_a_file_is_written_whole_and_never_over_another(last: LastFiles, tmp_path: Path) -> None:
    path, data = tmp_path / "ä\udcff", bytes(range(256)) * 5000
    last.write(str(path), data)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o644 & ~_umask()
    with pytest.raises(FileExistsError) as raised:
        last.write(str(path), b"other")
    assert raised.value.filename == str(path)
    assert path.read_bytes() == data


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_cannot_be_written_is_an_error(last: LastFiles, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        last.write(str(tmp_path / "no" / "file"), b"1")
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        last.write(str(tmp_path / "link"), b"1")
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(OSError) as raised:
        last.write(f"{tmp_path}/{'x' * 300}", b"1")
    assert raised.value.errno == errno.ENAMETOOLONG
