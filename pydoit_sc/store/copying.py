"""What a run has written: find it, copy it, remove it. Files, folders and links count, sockets and pipes do not."""

from __future__ import annotations

import errno
import itertools
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import blake2b

from pydoit_sc.files import is_file

DEEPEST = 100  # folders below each other; far more than any program makes on purpose
LONGEST = 2000  # bytes of a path below an output: what comes before it must fit into PATH_MAX, too

_LONGEST_NAME = 600  # bytes; S3 takes 1,024 for all of a key
_MOST_LINKS = 8  # that lead to each other
_KEPT = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)


@cache
def _unkept() -> re.Pattern[str]:
    return re.compile("[\0-\x1f\x7f\\\\\ud800-\udfff\ufffe\uffff]|%(?=[01][0-9A-F]|5C|7F|[89A-F][0-9A-F]|25)")


def copy_tree(source: str, target: str) -> None:
    """Copy the contents of a folder into another, which is made if it is missing; raises OSError."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=_no_results)


def _no_results(folder: str, names: list[str]) -> list[str]:
    modes = {name: os.lstat(os.path.join(folder, name)).st_mode for name in names}
    return [name for name, mode in modes.items() if not any(kept(mode) for kept in _KEPT)]


def kept_files(
    folder: str, enter: Callable[[str], object] = os.fspath
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all files and links below a folder, by path below it; pipes and sockets are left out.

    `enter` is called with the path of each folder before that is listed.

    Raises OSError, also where folders are nested too deep or a path is too long for other places than this one.
    """
    folders = [""]
    while folders:
        above = folders.pop()
        enter(f"{folder}/{above}")
        with os.scandir(f"{folder}/{above}") as entries:
            for entry in entries:
                name = above + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name.count("/") >= DEEPEST:
                        raise OSError(errno.ENAMETOOLONG, f"more than {DEEPEST} folders deep", name)
                    folders.append(f"{name}/")
                elif entry.is_symlink() or entry.is_file():
                    if len(name) > LONGEST // 4 and len(os.fsencode(name)) > LONGEST:
                        raise OSError(errno.ENAMETOOLONG, f"its path has more than {LONGEST:,} bytes", name)
                    yield name, entry


def sizes(folder: str) -> dict[str, int]:
    """Return the sizes in bytes of all files below a folder, as `size_of` tells them, by path below it; raises OSError."""
    return {name: size_of(folder, entry.path) for name, entry in kept_files(folder)}


def size_of(folder: str, path: str) -> int:
    """Return the size in bytes of a file below a folder; raises OSError.

    A link counts as the file that it leads to, if that is below the folder, too, and the link still leads there when the
    folder is moved: so it is as large as what is uploaded, or fetched, for it. Other links have their own size.
    """
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        with suppress(OSError):
            return _inner_file(folder, path).st_size
    return found.st_size


def _inner_file(folder: str, link: str) -> os.stat_result:
    """Follow a link by relative links alone; raises OSError where that leads to no file below the folder."""
    top, name = os.path.realpath(folder), os.path.relpath(link, folder)
    at = name
    for _ in range(_MOST_LINKS):
        text = os.readlink(f"{top}/{at}") if os.path.islink(f"{top}/{at}") else "/"
        if os.path.isabs(text):
            break
        at = os.path.normpath(os.path.join(os.path.dirname(at), text))
    found = os.lstat(f"{top}/{at}")
    if not stat.S_ISREG(found.st_mode) or os.path.realpath(f"{top}/{name}") != f"{top}/{at}":
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), link)
    return found


def regular_files(folder: str) -> Iterator[tuple[str, str]]:
    """Yield all files below a folder, and links to files: by their names as objects, and by whole path; raises OSError."""
    for name, entry in kept_files(folder):
        if not entry.is_symlink() or is_file(entry.path):  # it may lead nowhere
            yield object_name(name), entry.path


def object_name(path: str) -> str:
    r"""Return the name of a file as every object store can hold it.

    Control characters, bytes that are not UTF-8, what XML forbids and backslashes, which Azure takes for slashes, are written
    as `%0A`, and so is a `%` that could be taken for one of these; a name that is too long ends in a digest.

    >>> object_name("a b%20"), object_name("a\nb"), object_name("a%0Ab"), object_name("\udcff"), object_name("a\\b")
    ('a b%20', 'a%0Ab', 'a%250Ab', '%FF', 'a%5Cb')
    """
    name = _unkept().sub(lambda found: "".join(f"%{byte:02X}" for byte in os.fsencode(found[0])), path)
    data = name.encode()
    if len(data) <= _LONGEST_NAME:
        return name
    digest = blake2b(os.fsencode(path), digest_size=16).hexdigest()
    return f"{data[:_LONGEST_NAME].decode(errors='ignore')}~{digest}"


def discard(path: str) -> None:
    """Remove a file or a tree, whatever its depth and its modes; what cannot be removed stays."""
    if os.path.islink(path) or not os.path.isdir(path):
        with suppress(OSError):
            os.unlink(path)
        return
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        _take_apart(path)


def _take_apart(top: str) -> None:
    """Remove a tree whose folders are closed, or deeper than a path can tell: each is moved to the top first."""
    folders, names = [top], itertools.count()
    made = f"{top}/{secrets.token_hex(4)}"
    while folders:
        folder = folders.pop()
        with suppress(OSError):
            os.chmod(folder, stat.S_IRWXU)
        with suppress(OSError):
            with os.scandir(folder) as found:
                entries = list(found)
            for entry in entries:
                up = f"{made}-{next(names)}"
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        os.chmod(entry.path, stat.S_IRWXU)  # or it cannot be moved
                        os.rename(entry.path, up)
                        folders.append(up)
                    else:
                        os.unlink(entry.path)
            os.rmdir(folder)
    with suppress(OSError):
        os.rmdir(top)
