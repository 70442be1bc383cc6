"""Tar archives, read strictly: files, folders and symlinks, whatever else is refused by name.

This is not the standard library's reader: it holds no more than a block in memory, whatever a header claims, takes
no header that says two things, and knows no type that could write through something else. It reads what GNU tar,
Python's tarfile and other tools write in the ustar, GNU and POSIX (pax) formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from pydoit_sc.sync.errors import SyncError

_BLOCK = 512
_LONGEST_EXTENSION = 1 << 20  # bytes of a long name or a pax header
_READ = 1 << 18

_KINDS: dict[bytes, Literal["file", "folder", "link"]] = {
    b"0": "file",
    b"\0": "file",
    b"5": "folder",
    b"2": "link",
}
_REFUSED = {
    b"1": "a hard link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an archive."""

    name: str  # as the archive has it
    kind: Literal["file", "folder", "link"]
    mode: int  # permissions alone, without setuid, setgid and sticky bits
    size: int  # bytes that follow
    target: str = ""  # of a link


class Content:
    """The bytes of one member, to be read before the next member is asked for."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, most: int = _READ) -> bytes:
        """Return the next bytes, none at the end."""
        block = _exactly(self._stream, min(most, self._left))
        self._left -= len(block)
        return block

    def skip(self) -> None:
        while self._left:
            self.read()


@dataclass(slots=True)
class _Extension:
    """What extended headers say of the member that follows them."""

    values: dict[str, bytes] = field(default_factory=dict)

    def add(self, key: str, value: bytes) -> None:
        if key in self.values:
            raise SyncError(f"an entry gives its `{key}` twice")
        self.values[key] = value


def members(stream: BinaryIO) -> Iterator[tuple[Member, Content]]:
    """Yield each member with its content; raise SyncError at the first that is refused or broken."""
    extension = _Extension()
    while (header := _exactly(stream, _BLOCK)) != bytes(_BLOCK):
        _check(header)
        kind, size = header[156:157], _number(header[124:136])
        if kind in (b"L", b"K", b"x", b"g"):
            _read_extension(extension, kind, _extended(stream, size))
            continue
        member = _member(header, extension, kind, size)
        extension = _Extension()
        content = Content(stream, member.size)
        yield member, content
        content.skip()
        _exactly(stream, -member.size % _BLOCK)
    if extension.values:
        raise SyncError("it ends after a header that announces an entry")
    while rest := stream.read(_READ):  # to the end: only there is the checksum of the whole known
        if rest.strip(b"\0"):
            raise SyncError("there is something after its end")


def _member(header: bytes, extension: _Extension, kind: bytes, size: int) -> Member:
    values = extension.values
    name = _decoded(values["path"] if "path" in values else _plain_name(header))
    target = _decoded(values["linkpath"] if "linkpath" in values else _text(header[157:257]))
    if kind not in _KINDS:
        raise SyncError(f"{name!r}: {_REFUSED.get(kind, f'an entry of type {kind!r}')} is not extracted")
    if "size" in values:
        size = _decimal(values["size"])
    word = _KINDS[kind]
    if kind == b"\0" and name.endswith("/"):
        word = "folder"  # as before POSIX
    if word != "file" and size:
        raise SyncError(f"{name!r}: a {word} with content")
    return Member(name, word, _number(header[100:108]) & 0o777, size, target if word == "link" else "")


def _plain_name(header: bytes) -> bytes:
    name, prefix = _text(header[:100]), _text(header[345:500])
    # GNU's own format keeps other things there
    return prefix + b"/" + name if header[257:263] == b"ustar\0" and prefix else name


def _read_extension(extension: _Extension, kind: bytes, data: bytes) -> None:
    if kind in (b"L", b"K"):
        extension.add("path" if kind == b"L" else "linkpath", data[:-1] if data[-1:] == b"\0" else data)
        return
    for key, value in _pax_records(data):
        if key.startswith("GNU.sparse"):
            raise SyncError("a sparse file is not extracted")
        if key in ("path", "linkpath", "size"):
            if kind == b"g":
                raise SyncError(f"a global header sets `{key}` of every entry")
            extension.add(key, value)


def _pax_records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield key and value of records of the form `LENGTH KEY=VALUE\\n`."""
    while data:
        digits, space, _ = data.partition(b" ")
        length = _decimal(digits)
        record = data[len(digits) + 1 : length - 1]
        key, equals, value = record.partition(b"=")
        if not space or length > len(data) or data[length - 1 : length] != b"\n" or not equals:
            raise SyncError("a broken pax header")
        yield _decoded(key), value
        data = data[length:]


def _extended(stream: BinaryIO, size: int) -> bytes:
    if size > _LONGEST_EXTENSION:
        raise SyncError(f"an extended header of {size:,} bytes")
    data = _exactly(stream, size)
    _exactly(stream, -size % _BLOCK)
    return data


def _check(header: bytes) -> None:
    found = header[148:156].strip(b" \0")
    expected = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if found.lstrip(b"0") != b"%o" % expected:
        raise SyncError("not a tar archive, or a broken one: a header's checksum is wrong")


def _number(data: bytes) -> int:
    """Return an octal number, or GNU's binary form for large ones; negative ones are refused."""
    if data[0] & 0x80:
        if data[0] != 0x80:
            raise SyncError("a header with a negative number")
        return int.from_bytes(data[1:], "big")
    digits = _text(data).strip(b" ")
    if digits.strip(b"01234567"):
        raise SyncError("a broken header: a number is not octal")
    return int(digits or b"0", 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise SyncError("a broken pax header: a number is expected")
    return int(digits)


def _text(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def _decoded(data: bytes) -> str:
    if b"\0" in data:
        raise SyncError("a name with a NUL character")
    return data.decode("utf-8", "surrogateescape")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise SyncError("it is cut off")
        data += more
    return data
