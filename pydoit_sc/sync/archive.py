"""A folder as a .tar.gz whose bytes depend on names, contents and modes alone, and the digest that names it.

Files are read one block at a time. Their times are set to one date: not 1970, which the zip format (and so a wheel
built from them) cannot hold.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.links import leaves_tree

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: Never worth sending; a later `!pattern` of the user takes one back.
DEFAULT_EXCLUDES = (
    ".git", ".hg", ".svn", ".idea", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".hypothesis", ".tox", ".nox", ".venv", ".doit.db*", ".pydoit_sc*",
)  # fmt: skip

_TIME = 315_619_200  # 1980-01-02 00:00 UTC
_BLOCK = 1 << 20  # bytes
_SHOWN = 20  # refused entries that are named; the rest is counted
_FORMAT = b"pydoit-sc archive 1\0"  # of the digest: what is archived, and how


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or symlink of the tree."""

    name: str  # from the root, with slashes
    kind: Literal["file", "folder", "link"]
    mode: int  # permissions alone
    target: str = ""  # of a link


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that cannot travel, and why."""

    name: str
    reason: str


def tree_digest(folder: str, patterns: Iterable[str] = ()) -> str:
    """Return the digest of what an archive of `folder` would hold; raise SyncError naming all that it cannot."""
    digest = _Digest()
    for entry in _entries(folder, patterns):
        digest.add(entry, _hash(folder, entry) if entry.kind == "file" else b"")
    return digest.hex()


def write_archive(folder: str, path: str, patterns: Iterable[str] = ()) -> str:
    """Write the archive of `folder` to `path`, and return the digest of what it really holds.

    `patterns` are those of a .gitignore, after `DEFAULT_EXCLUDES`. Raises SyncError, and then nothing is written.
    """
    patterns = list(patterns)
    for _ in _entries(folder, patterns):  # all that is refused, before anything is written
        pass
    digest = _Digest()
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
            for entry in _entries(folder, patterns):
                digest.add(entry, _add(tar, folder, entry))
                tar.members = []  # type: ignore[attr-defined] # would hold them all
    except BaseException as error:
        if os.path.exists(path):
            os.unlink(path)
        if isinstance(error, OSError):
            raise SyncError(f"{path}: {error.strerror or error}") from error
        raise
    return digest.hex()


class _Digest:
    def __init__(self) -> None:
        self._sum = hashlib.sha256(_FORMAT)

    def add(self, entry: Entry, content: bytes) -> None:
        for part in (entry.name, entry.kind, f"{entry.mode:o}", entry.target):
            data = os.fsencode(part)
            self._sum.update(len(data).to_bytes(4, "big") + data)
        self._sum.update(len(content).to_bytes(1, "big") + content)

    def hex(self) -> str:
        return self._sum.hexdigest()[:32]


def _entries(folder: str, patterns: Iterable[str]) -> Iterator[Entry]:
    """Yield what is archived, and at the end raise SyncError if anything was refused."""
    if not os.path.isdir(folder):
        raise SyncError(f"{folder}: not a folder" if os.path.exists(folder) else f"{folder}: no such folder")
    shown: list[Refused] = []
    count = 0
    for found in _walk(folder, _spec(patterns)):
        if isinstance(found, Entry):
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


def _walk(folder: str, spec: GitIgnoreSpec) -> Iterator[Entry | Refused]:
    """Yield entries, folders before what they hold, sorted by the bytes of their names; excluded folders are not entered."""
    waiting = [iter(_listing(folder, "", spec))]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        yield found
        if isinstance(found, Entry) and found.kind == "folder":
            waiting.append(iter(_listing(folder, found.name, spec)))


def _listing(folder: str, name: str, spec: GitIgnoreSpec) -> list[Entry | Refused]:
    try:
        with os.scandir(os.path.join(folder, name)) as found:
            children = sorted(found, key=lambda child: os.fsencode(child.name))
    except OSError as error:
        return [Refused(name or ".", f"cannot be listed ({error.strerror})")]
    kept: list[Entry | Refused] = []
    for child in children:
        path = f"{name}/{child.name}" if name else child.name
        if not spec.match_file(f"{path}/" if child.is_dir(follow_symlinks=False) else path):
            kept.append(_entry(child, path))
    return kept


def _entry(child: os.DirEntry[str], path: str) -> Entry | Refused:
    try:
        mode = child.stat(follow_symlinks=False).st_mode
        target = os.readlink(child.path) if stat.S_ISLNK(mode) else ""
    except OSError as error:
        return Refused(path, f"cannot be read ({error.strerror})")
    if stat.S_ISLNK(mode):
        reason = f"a symlink to `{target}`, which leads out of the folder or may do so"
        return Refused(path, reason) if leaves_tree(path, target) else Entry(path, "link", 0o777, target)
    if stat.S_ISDIR(mode):
        return Entry(path, "folder", mode & 0o777)
    if stat.S_ISREG(mode) and os.access(child.path, os.R_OK):
        return Entry(path, "file", mode & 0o777)
    return Refused(path, _what(mode))


def _what(mode: int) -> str:
    kinds = (
        (stat.S_ISREG, "you may not read it"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISFIFO, "a named pipe"),
    )
    return next((word for test, word in kinds if test(mode)), "a device")


def _open(folder: str, entry: Entry) -> tuple[BinaryIO, int]:
    """Open a file of the tree, and return it with its size; it may have been replaced since it was listed."""
    path = os.path.join(folder, entry.name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SyncError(f"{path}: {error.strerror}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise SyncError(f"{path}: changed while it was read")
    return open(descriptor, "rb"), found.st_size


def _hash(folder: str, entry: Entry) -> bytes:
    file, _ = _open(folder, entry)
    with file:
        total = hashlib.sha256()
        while block := file.read(_BLOCK):
            total.update(block)
    return total.digest()


def _add(tar: tarfile.TarFile, folder: str, entry: Entry) -> bytes:
    """Add an entry, and return the hash of its content as it was archived."""
    info = tarfile.TarInfo(entry.name)
    info.mode, info.mtime = entry.mode, _TIME
    if entry.kind == "folder":
        info.type = tarfile.DIRTYPE
    elif entry.kind == "link":
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
    else:
        file, info.size = _open(folder, entry)
        with file:
            content = _Hashing(file)
            try:
                tar.addfile(info, content)
            except OSError as error:
                if content.is_short:
                    raise SyncError(f"{folder}/{entry.name}: changed while it was read") from error
                raise
        return content.digest()
    tar.addfile(info)
    return b""


class _Hashing(io.RawIOBase):
    """A file that hashes what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._sum = hashlib.sha256()
        self.is_short = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.is_short = self.is_short or len(block) < size
        self._sum.update(block)
        return block

    def digest(self) -> bytes:
        return self._sum.digest()
