"""A folder as a .tar.gz whose bytes depend on names, contents and modes alone, so that their digest can name it.

Files are read one block at a time. All get the same date: not 1970, which the zip format (and so a wheel built from
them) cannot hold.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydoit_sc.globbing import KEPT_BY_TOOLS
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import digest_of

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: Never sent, unless the user takes one back by a later `!pattern`.
DEFAULT_EXCLUDES = KEPT_BY_TOOLS

_TIME = 315_619_200  # 1980-01-02 00:00 UTC
_SHOWN = 20  # refused entries that are named; the rest is counted


@dataclass(frozen=True, slots=True)
class Member:
    """A file, folder or symlink of the tree, as it is archived."""

    name: str  # from the root, with slashes
    kind: Literal["file", "folder", "link"]
    mode: int  # permissions alone
    target: str = ""  # of a link


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that cannot be archived, and why."""

    name: str
    reason: str


def write_archive(folder: str, path: str, patterns: Iterable[str] = ()) -> str:
    """Write the archive of `folder` to `path`, and return the SHA-256 of its bytes.

    `patterns` are those of a .gitignore, after `DEFAULT_EXCLUDES`. Raises SyncError, and then nothing is written.
    """
    patterns = list(patterns)
    for _ in _members(folder, patterns):  # refuses all that it must before anything is written
        pass
    try:
        with (
            open(path, "wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
            tarfile.open(
                fileobj=packed,
                mode="w",
                format=tarfile.GNU_FORMAT,
                encoding="utf-8",
                errors="surrogateescape",
            ) as tar,
        ):
            for member in _members(folder, patterns):
                _add(tar, folder, member)
                tar.members = []  # type: ignore[attr-defined] # would hold them all
        return digest_of(path)
    except BaseException as error:
        if os.path.exists(path):
            os.unlink(path)
        if isinstance(error, OSError):
            raise SyncError(f"{path}: {error.strerror or error}") from error
        raise


def _members(folder: str, patterns: Iterable[str]) -> Iterator[Member]:
    """Yield what is archived; at the end raise SyncError if anything was refused."""
    if not os.path.isdir(folder):
        raise SyncError(f"{folder}: not a folder" if os.path.exists(folder) else f"{folder}: no such folder")
    shown: list[Refused] = []
    count = 0
    for found in _walk(folder, _spec(patterns)):
        if isinstance(found, Member):
            yield found
            continue
        count += 1
        if len(shown) < _SHOWN:
            shown.append(found)
    if count:
        lines = [
            f"{folder}: {count:,} of its entries cannot be sent; exclude them, or replace them by copies"
        ]
        lines += [
            f"  {os.fsencode(one.name).decode(errors='backslashreplace')!r}: {one.reason}" for one in shown
        ]
        if count > len(shown):
            lines.append(f"  and {count - len(shown):,} more")
        raise SyncError("\n".join(lines))


def _spec(patterns: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - only where something is archived

    try:
        return GitIgnoreSpec.from_lines([*DEFAULT_EXCLUDES, *patterns])
    except ValueError as error:
        raise SyncError(f"exclude patterns: {error}") from error


def _walk(folder: str, spec: GitIgnoreSpec) -> Iterator[Member | Refused]:
    """Yield members, folders before their content, sorted by the bytes of their names; excluded folders are not read."""
    waiting = [iter(_listing(folder, "", spec))]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        yield found
        if isinstance(found, Member) and found.kind == "folder":
            waiting.append(iter(_listing(folder, found.name, spec)))


def _listing(folder: str, name: str, spec: GitIgnoreSpec) -> list[Member | Refused]:
    try:
        with os.scandir(os.path.join(folder, name)) as found:
            children = sorted(found, key=lambda child: os.fsencode(child.name))
    except OSError as error:
        return [Refused(name or ".", f"cannot be listed ({error.strerror})")]
    kept: list[Member | Refused] = []
    for child in children:
        path = f"{name}/{child.name}" if name else child.name
        if not spec.match_file(f"{path}/" if child.is_dir(follow_symlinks=False) else path):
            kept.append(_member(child, path))
    return kept


def _member(child: os.DirEntry[str], path: str) -> Member | Refused:
    try:
        mode = child.stat(follow_symlinks=False).st_mode
        target = os.readlink(child.path) if stat.S_ISLNK(mode) else ""
    except OSError as error:
        return Refused(path, f"cannot be read ({error.strerror})")
    if stat.S_ISLNK(mode):
        reason = f"a symlink to `{target}`, which leads out of the folder or may do so"
        return Refused(path, reason) if leaves_tree(path, target) else Member(path, "link", 0o777, target)
    if stat.S_ISDIR(mode):
        return Member(path, "folder", mode & 0o777)
    if stat.S_ISREG(mode) and os.access(child.path, os.R_OK):
        return Member(path, "file", mode & 0o777)
    return Refused(path, _what(mode))


def _what(mode: int) -> str:
    kinds = (
        (stat.S_ISREG, "you may not read it"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISFIFO, "a named pipe"),
    )
    return next((word for test, word in kinds if test(mode)), "a device")


def leaves_tree(name: str, target: str) -> bool:
    """Return whether the symlink `name` (relative to the tree's root) leads out of the tree, or may do so.

    `..` is allowed only at the target's beginning, where it climbs real folders: after a name it would climb from
    where another symlink leads. So if every link keeps the rule, no chain of them gets out.
    """
    if target.startswith("/") or not target:
        return True
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    depth = len([part for part in name.split("/") if part not in ("", ".")]) - 1
    return ups > depth or ".." in parts[ups:]


def _add(tar: tarfile.TarFile, folder: str, member: Member) -> None:
    info = tarfile.TarInfo(member.name)
    info.mode, info.mtime = member.mode, _TIME
    if member.kind == "folder":
        info.type = tarfile.DIRTYPE
    elif member.kind == "link":
        info.type, info.linkname = tarfile.SYMTYPE, member.target
    else:
        _add_file(tar, info, os.path.join(folder, member.name))
        return
    tar.addfile(info)


def _add_file(tar: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> None:
    """Add a file, which may have been replaced since it was listed, and may change while it is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SyncError(f"{path}: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        info.size = before.st_size
        try:
            if stat.S_ISREG(before.st_mode):
                tar.addfile(info, file)
        finally:
            if not stat.S_ISREG(before.st_mode) or _state(os.fstat(descriptor)) != _state(before):
                raise SyncError(f"{path}: changed while it was read")


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
