"""Write files whole or not at all, read only what ends, and tell what is not there from what cannot be read just now.

Nothing made here is writable by everybody, whatever the umask is.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO, TypeVar

from pydoit_sc.errors import UserError

FOLDER_MODE = 0o775  # the umask may take more away
_FILE_MODE = 0o664
#: Errors that say that there is nothing.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
#: Or nothing for this user.
ABSENT = (*GONE, errno.EACCES, errno.EPERM)

T = TypeVar("T")


def check_here() -> None:
    """Raise UserError if the current folder has been removed: nothing can be read or written relative to it."""
    try:
        os.getcwd()
    except OSError as error:
        why = (
            "has been removed"
            if isinstance(error, FileNotFoundError)
            else f"cannot be used: {error.strerror}"
        )
        raise UserError(f"the current folder {why}; go to another one") from error


def not_for_all(path: str, flags: int) -> int:
    """Open a file that is not writable by everybody; an `opener` for `open`."""
    return os.open(path, flags, _FILE_MODE)


def not_for_others(path: str, flags: int) -> int:
    """Open a file that only this user can write; an `opener` for `open`."""
    return os.open(path, flags, 0o644)


def only_mine(path: str, flags: int) -> int:
    """Open a file that only this user can read and write; an `opener` for `open`."""
    return os.open(path, flags, 0o600)


def make_folders(path: str) -> None:
    """Make a folder and its missing parents; raises OSError."""
    above = os.path.dirname(path)
    # Another worker may remove a parent that is empty; in /proc a folder is never there, however often it is made.
    for again in (True, True, False):
        try:
            os.mkdir(path, FOLDER_MODE)
            return
        except FileExistsError:
            if not os.path.isdir(path):
                raise
            return
        except FileNotFoundError:
            if not again or above in ("", path):
                raise
        make_folders(above)


def if_there(look: Callable[[], T], absent: Collection[int] = ABSENT) -> T | None:
    """Return what a look at a file tells; None where there is none, by these errors. Raises every other OSError."""
    try:
        return look()
    except ValueError:  # a zero byte in its name
        return None
    except OSError as error:
        if error.errno not in absent:
            raise
        return None


def is_file(path: str) -> bool:
    """Return whether a path leads to a file; raises OSError where that cannot be told just now."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str) -> bool:
    """Return whether a path leads to a folder; raises OSError where that cannot be told just now."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: str) -> int:
    found = if_there(partial(os.stat, path))
    return found.st_mode if found else 0


def is_below(path: str, folder: str) -> bool:
    """Return whether a path leads to a folder or into it, by whatever links; neither need be there."""
    real, top = os.path.realpath(path), os.path.realpath(folder)
    return real == top or real.startswith(f"{top.rstrip('/')}/")


def open_regular(path: str, more: int = 0) -> BinaryIO:
    """Open a file to read it, with these flags and more; raises OSError, also for what might never end: a pipe, a device."""
    return regular(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | more), path)


def regular(fd: int, path: str) -> BinaryIO:
    """Return an open file to read it; one that is not regular is closed, and OSError raised."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return open(fd, "rb")


@contextmanager
def naming(path: str, aside: str | None = None) -> Iterator[None]:
    """Have errors name `path` that name no file, as those of writing do, or that name what is written in its place."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename in (None, aside):
            raise OSError(error.errno, error.strerror, path) from None
        raise


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Give the name of a new file beside `path`, which replaces `path` in one step at the end.

    If the body raises, `path` stays as it was and the new file is removed. Raises OSError, which names `path`.

        with replacing("report.txt") as aside:
            shutil.copyfile("draft.txt", aside)
    """
    aside = f"{path}.{secrets.token_hex(4)}.part"
    try:
        with naming(path, aside):
            yield aside
            os.replace(aside, path)
    finally:
        with suppress(OSError):
            os.unlink(aside)


def write_whole(path: str, data: bytes, opener: Callable[[str, int], int] = not_for_others) -> None:
    """Write a file with all its data, or leave what was there; raises OSError.

    Others do not write to it but replace it: so its owner is who has written it.
    """
    with replacing(path) as aside, open(aside, "xb", opener=opener) as file:
        file.write(data)


@contextmanager
def rewriting(path: str) -> Iterator[BinaryIO]:
    """Open a file that a user has named; what is written replaces its content in one step at the end.

    A link leads to its file, which keeps its mode. A device or a pipe is none to be replaced: it is written. Raises OSError.
    """
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    if there is not None and not stat.S_ISREG(there.st_mode):
        with naming(path), open(path, "wb") as file:
            yield file
        return
    whole = os.path.realpath(path) if os.path.islink(path) else path
    with replacing(whole) as aside, open(aside, "xb", opener=not_for_all) as file:
        if there is not None:
            os.fchmod(file.fileno(), there.st_mode & 0o777)
        yield file
