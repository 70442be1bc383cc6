"""Read what lies in the folders of runs on a file system, their small files above all, where another worker may replace a run meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

from pydoit_sc.errors import warn_once
from pydoit_sc.files import regular
from pydoit_sc.store.base import LASTING, Contents, answers
from pydoit_sc.store.copying import sizes
from pydoit_sc.store.layout import LARGEST, RUN_JSON, STATUS_CODE, Current, Record
from pydoit_sc.store.stamps import parse_current, parse_record, parse_written

ABSENT = (FileNotFoundError, NotADirectoryError)
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_OPENED = "/proc/self/fd/"
_BLOCK = 1 << 16  # bytes that are read at once
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOOKS = 3  # at where a link leads, if its output is moved meanwhile


def read_record(folder: str, dir_fd: int | None = None) -> Record | None:
    """Return what the store says of a run, from its two small files."""
    record = read_outcome(folder, dir_fd, None)
    assert not isinstance(record, Current)
    return record


def read_outcome(folder: str, dir_fd: int | None, fingerprint: str | None) -> Record | Current | None:
    """Read a run's two small files: as a rule by their names, else through its open folder.

    Where a fingerprint is given, a completed outcome of it is told as no more than that.

    The folder of this name may be replaced between the two. The later one that is read, `run.json`, then is of the new
    outcome, which is whole; it says the same code, or both files are read again.
    """
    try:
        code = _read_block(f"{folder}/{STATUS_CODE}", dir_fd)
        run_json = _read_block(f"{folder}/{RUN_JSON}", dir_fd)
    except OSError:
        code, run_json = b"", b""
    if fingerprint is not None and (current := parse_current(code, run_json, fingerprint)) is not None:
        return current
    if record := parse_written(code, run_json):
        return record.told(fingerprint)
    small = read_documents(folder, dir_fd)
    return parse_record(*small).told(fingerprint) if small else None


def _read_block(path: str, dir_fd: int | None) -> bytes:
    fd = os.open(path, _FILE, dir_fd=dir_fd)
    try:
        return os.read(fd, _BLOCK)
    finally:
        os.close(fd)


def read_documents(folder: str, dir_fd: int | None = None) -> tuple[bytes, bytes | None] | None:
    """Read a run's two small files through its open folder: the folder of this name may be replaced meanwhile."""
    try:
        run = os.open(folder, _FOLDER, dir_fd=dir_fd)
    except ABSENT:
        return None
    try:
        return _read_opened(run)
    except OSError as error:
        raise located(error, folder) from None
    finally:
        os.close(run)


def read_contents(folder: str) -> Contents | None:
    """Return what a finished run consists of, through its open folder; None where it has no outcome. Raises OSError."""
    try:
        run = os.open(folder, _FOLDER)
    except ABSENT:
        return None
    try:
        small = _read_opened(run)
        if small is None:
            return None
        files = {name: (size, "") for name, size in sizes(f"{_OPENED}{run}").items()}
        return Contents(files, *small)
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = error.filename.removeprefix(f"{_OPENED}{run}").lstrip("/")
        raise located(error, folder) from None
    finally:
        os.close(run)


def _read_opened(run: int) -> tuple[bytes, bytes | None] | None:
    """Return what `status_code` and `run.json` hold in an open folder; None without a `status_code`."""
    status_code = read_file(STATUS_CODE, run)
    return None if status_code is None else (status_code, read_file(RUN_JSON, run))


def read_file(path: str, dir_fd: int | None) -> bytes | None:
    """Read a document, None where there is none; of what is no file of ours, a pipe or a device, nothing is read."""
    try:
        fd = os.open(path, _FILE, dir_fd=dir_fd)
    except ABSENT:
        return None
    try:
        data = os.read(fd, _BLOCK)
        return data if len(data) < _BLOCK else data + _read_rest(fd)
    except BlockingIOError:  # a pipe
        return b""
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def open_inside(folder: str, file: str) -> BinaryIO:
    """Open a file of an output to read it; raises OSError, also for a link that leads out of the output, and for no file."""
    return regular(_open_inside(folder, file), f"{folder}/{file}")


def _open_inside(folder: str, file: str) -> int:
    """Open what is in an output; a link is followed to what is in there, too, and nowhere else.

    Anybody who may write to the output may have put it there, and it may lead to a secret of who reads it.
    """
    path = f"{folder}/{file}"
    if "/" not in file:
        try:
            return os.open(path, _FILE | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
    for _ in range(_LOOKS):
        fd = os.open(path, _FILE)
        if os.readlink(f"{_OPENED}{fd}").startswith(f"{os.path.realpath(folder)}/"):
            return fd
        os.close(fd)
    raise OSError(errno.ELOOP, "it leads out of its run's output", path)


def read_end(folder: str, file: str, at_most: int) -> tuple[bytes, int]:
    """Return the last bytes of a file of an output, and its size; nothing where there is none, or a pipe or a device.

    Raises StoreError, also for a link that leads out of the output.
    """
    with answers(f"{folder}/{file}"), suppress(*ABSENT):
        fd = _open_inside(folder, file)
        try:
            found = os.fstat(fd)
            if stat.S_ISREG(found.st_mode):
                return os.pread(fd, at_most, max(0, found.st_size - at_most)), found.st_size
        finally:
            os.close(fd)
    return b"", 0


def _read_rest(fd: int) -> bytes:
    """Return what a document has beyond its first block, which few have: so only they cost a look at the file."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        return b""
    rest = bytearray()
    while more := os.read(fd, 1 << 20):
        rest += more
    return bytes(rest)


def located(error: OSError, folder: str) -> OSError:
    """Return an error with the whole path of its file, whose name counts from this folder."""
    name = error.filename if isinstance(error.filename, str) else ""  # a number if it is a descriptor
    error.filename = os.path.join(folder, name) if name else folder
    return error


def warn_closed(path: str) -> None:
    """Tell that a folder cannot be read."""
    warn_once(f"{path}: cannot be read, and outputs in it are not known")


def walk(
    root: str, closed: Callable[[str], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a tree; it may not exist, and folders may vanish meanwhile. Raises every other OSError.

    `closed` is told of the folders below it that cannot be read, where it is given.
    """

    def wrong(error: OSError) -> None:
        if closed and error.errno in LASTING and error.filename != root:
            closed(error.filename)
        elif not isinstance(error, ABSENT):
            raise error

    return os.walk(root, onerror=wrong)
