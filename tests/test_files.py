"""Files appear whole, or stay as they were."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from pydoit_sc.files import make_folders, open_regular, replacing, rewriting, write_whole


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    write_whole(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(str(path)) as aside:
        Path(aside).write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_named_link_leads_to_its_file_which_keeps_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to("file")
    with rewriting(str(link)) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert sorted(os.listdir(tmp_path)) == ["file", "link"] and link.is_symlink()


def test_a_named_pipe_is_written_not_replaced(tmp_path: Path) -> None:
    """As a device is: to root, /dev/stdout would otherwise become a file for all programs."""
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    with rewriting(str(pipe)) as file:
        file.write(b"new")
    reader.join(60)
    assert got == [b"new"] and pipe.is_fifo()


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    for path in (tmp_path / "none" / "file", tmp_path / "folder"):
        with pytest.raises(OSError) as error:
            write_whole(str(path), b"new")
        assert (error.value.filename, error.value.filename2) == (str(path), None)


def test_an_error_of_writing_names_the_file_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device") as error, rewriting("/dev/full") as file:
        file.write(b"new")
    assert error.value.filename == "/dev/full"
    path = str(tmp_path / "file")
    with pytest.raises(OSError) as error, replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert error.value.filename == path
    with pytest.raises(OSError) as error, replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "another")
    assert error.value.filename == "another"


def test_what_is_made_is_not_writable_by_everybody(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_folders(str(tmp_path / "a" / "b"))
        write_whole(str(tmp_path / "a" / "b" / "file"), b"")
    finally:
        os.umask(before)
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "file"):
        assert not path.stat().st_mode & 0o002


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        make_folders(str(tmp_path / "file" / "below"))


def test_a_file_system_that_takes_no_folder_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="/proc/nope"):
        make_folders("/proc/nope/a/b")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    with open_regular(str(tmp_path / "link")) as file:
        assert file.read() == b"x"
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero", str(tmp_path)):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(path)
