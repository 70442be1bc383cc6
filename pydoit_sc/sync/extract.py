"""Safe extraction of a .tar.gz: `python3 -m pydoit_sc.sync.extract ARCHIVE DEST`.

Nothing is trusted to be where its name says. Each folder on the way to an entry is opened from its parent's
descriptor and never through a symlink, so neither an entry of the archive nor anything that stands in the
destination redirects a write, however long the path is. The whole archive is checked before the first write. A file
is written aside and renamed, so that it is replaced at once; modes lose setuid, setgid and sticky bits and go
through the umask.
"""

from __future__ import annotations

import gzip
import os
import secrets
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, cast

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.links import leaves_tree
from pydoit_sc.sync.tarstream import Content, Member, members

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

#: Folders on the way to an entry; each takes a descriptor.
_DEEPEST = 256


def extract(archive: str, destination: str) -> int:
    """Extract an archive into a folder, which is made if need be; return how many entries it has.

    Files and symlinks that exist are replaced, folders are merged. Raises SyncError; if the archive itself is at
    fault, before anything is written.
    """
    try:
        with open(archive, "rb") as raw:
            for _ in _checked(raw):
                pass
            raw.seek(0)
            os.makedirs(destination, exist_ok=True)
            with _Tree(destination) as tree:
                return sum(tree.put(member, content, parts) for member, content, parts in _checked(raw))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SyncError(f"{archive}: not a whole .tar.gz ({error})") from error
    except SyncError as error:
        raise SyncError(f"{archive}: {error}") from None
    except OSError as error:
        raise SyncError(f"{archive}: {error.filename or destination}: {error.strerror}") from error


def _checked(raw: BinaryIO) -> Iterator[tuple[Member, Content, tuple[str, ...]]]:
    """Yield the members and the parts of their names; the folder itself (`./`) is left out."""
    seen: set[tuple[str, ...]] = set()
    with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
        for member, content in members(cast(BinaryIO, unpacked)):
            parts = _parts(member)
            if parts in seen:
                raise SyncError(f"{member.name!r}: is there twice")
            seen.add(parts)
            if parts:
                yield member, content, parts


def _parts(member: Member) -> tuple[str, ...]:
    name = member.name
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/"):
        raise SyncError(f"{name!r}: an absolute name")
    if ".." in parts:
        raise SyncError(f"{name!r}: a name with `..`")
    if len(parts) > _DEEPEST:
        raise SyncError(f"a name of more than {_DEEPEST} folders, {name[:60]!r}…")
    if member.kind != "folder" and (not parts or name.endswith("/")):
        raise SyncError(f"{name!r}: no name for a {member.kind}")
    if member.kind == "link" and leaves_tree(name, member.target):
        raise SyncError(
            f"{name!r}: a symlink to {member.target!r}, which leads out of the folder or may do so"
        )
    return parts


class _Tree:
    """The destination: the descriptors of the folders that lead to where the last entry was put."""

    def __init__(self, destination: str) -> None:
        self._root = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: list[tuple[str, int]] = []

    def __enter__(self) -> _Tree:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_below(0)
        os.close(self._root)

    def put(self, member: Member, content: Content, parts: tuple[str, ...]) -> int:
        with _blame(member):
            parent = self._folder(parts[:-1])
            if member.kind == "folder":
                with suppress(FileExistsError):
                    os.mkdir(parts[-1], member.mode | 0o700, dir_fd=parent)
                self._folder(parts)
            elif member.kind == "link":
                with _aside(parent, parts[-1]) as name:
                    os.symlink(member.target, name, dir_fd=parent)
            else:
                with _aside(parent, parts[-1]) as name:
                    _write(os.open(name, _NEW, member.mode, dir_fd=parent), content)
        return 1

    def _folder(self, parts: Sequence[str]) -> int:
        """Return the descriptor of a folder, made if need be; each step from the last one, through no symlink."""
        common = 0
        for (name, _), part in zip(self._open, parts, strict=False):
            if name != part:
                break
            common += 1
        self._close_below(common)
        for part in parts[common:]:
            above = self._open[-1][1] if self._open else self._root
            try:
                descriptor = os.open(part, _FOLDER, dir_fd=above)
            except FileNotFoundError:
                os.mkdir(part, dir_fd=above)
                descriptor = os.open(part, _FOLDER, dir_fd=above)
            self._open.append((part, descriptor))
        return self._open[-1][1] if self._open else self._root

    def _close_below(self, depth: int) -> None:
        while len(self._open) > depth:
            os.close(self._open.pop()[1])


@contextmanager
def _aside(parent: int, name: str) -> Iterator[str]:
    """Give a name to write to, and put what was written there in the place of `name`."""
    aside = f".pydoit-sc-{secrets.token_hex(8)}"
    with ExitStack() as undo:
        undo.callback(_unlink, aside, parent)
        yield aside
        os.rename(aside, name, src_dir_fd=parent, dst_dir_fd=parent)
        undo.pop_all()


def _unlink(name: str, parent: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _write(descriptor: int, content: Content) -> None:
    with open(descriptor, "wb") as file:
        while block := content.read():
            file.write(block)


@contextmanager
def _blame(member: Member) -> Iterator[None]:
    try:
        yield
    except (NotADirectoryError, IsADirectoryError) as error:
        raise SyncError(f"{member.name!r}: something else stands in its place: {error.strerror}") from error
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise SyncError(f"{member.name!r}: {error.strerror}") from error


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("usage: python3 -m pydoit_sc.sync.extract ARCHIVE DEST", file=sys.stderr)
        return 3
    try:
        archive, destination = arguments
        extract(archive, destination)
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
