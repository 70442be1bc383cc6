"""What all formats share: the text of a file, the data in it, and the places of its keys."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from pydoit_sc.batchfile.errors import BatchfileError, Problem, Where


class Source(NamedTuple):
    """Where the batchfile lies, and when it is read."""

    folder: str  # absolute
    file: str  # as messages name it
    now: datetime
    files: dict[str, str]  # that have been read for it, with digests of what they had
    outputs: tuple[str, ...] = ()  # the folders of the batch's outputs: no pattern looks into them

    def has_read(self, path: str, raw: bytes) -> None:
        """Note that a file has been read, and what it had."""
        self.files[path] = blake2b(raw, digest_size=16).hexdigest()


Place = tuple[int | None, int | None]  # line and column, from 1

#: The word that means standard input in place of a path, and how messages name it.
STDIN = "-"
STDIN_NAME = "standard input"

_BOM = b"\xef\xbb\xbf"
_PIECE = 1 << 20  # characters of a text that are looked at together: a run list may have a hundred million


class Document(NamedTuple):
    """A file's text and the data in it."""

    file: str  # as messages name it
    format: str  # toml, json, jsonl, yaml, csv or lines
    raw: bytes  # the text in UTF-8, without a mark at its start
    data: Any  # a list of runs, or its items in a table, may be an iterator, which reads them as it is asked for them

    @property
    def text(self) -> str:
        """The file's text."""
        return self.raw.decode()


def failure(file: str, message: str, line: int | None = None, column: int | None = None) -> BatchfileError:
    """Return the error of a file that has one problem."""
    return BatchfileError([Problem(file, line, column, message)])


def place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of an offset into `text`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def lines_of(raw: bytes, newline: str = "\n") -> io.TextIOWrapper:
    """Return the lines of a text in UTF-8, with their ends: `\\n`, or with `newline=""` as Python has them, too."""
    return io.TextIOWrapper(io.BytesIO(raw), "utf-8", newline=newline)


def read_text(path: str, file: str) -> str:
    """Return a file's text; raise BatchfileError if it has none."""
    return read_bytes(path, file).decode()


def read_bytes(path: str, file: str) -> bytes:
    """Return a file's text in UTF-8, without a mark at its start; raise BatchfileError if it has none."""
    try:
        with open(0 if path == STDIN else path, "rb", closefd=path != STDIN) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if path != STDIN and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
                raise failure(file, "is a device, expected a file")
            raw = stream.read()
    except FileNotFoundError:
        raise failure(file, "no such file") from None
    except IsADirectoryError:
        raise failure(file, "is a folder, expected a file") from None
    except (OSError, ValueError) as error:
        raise failure(file, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    text = raw.removeprefix(_BOM)
    is_blank = True
    try:
        for piece in iter(partial(lines_of(text).read, _PIECE), ""):
            is_blank = is_blank and piece.isspace()
    except UnicodeDecodeError:
        _check_utf8(text, file, len(raw) - len(text))
    if is_blank:
        raise failure(file, "empty file")
    if (nul := text.find(b"\0")) >= 0:
        before = text[:nul].decode()
        raise failure(file, "a NUL character; is this a text file?", *place(before, len(before)))
    return text


def _check_utf8(text: bytes, file: str, skipped: int) -> None:
    """Raise BatchfileError for a text that is not UTF-8, and stands behind so many bytes of the file."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode()
        line, column = place(before, len(before))
        byte = f"byte {error.start + skipped:,} (0x{text[error.start]:02x})"
        raise failure(file, f"not UTF-8 at {byte}", line, column) from None


@dataclass(eq=False, repr=False)
class Frame:
    """An open list or table, while a text is scanned for its keys."""

    path: Where
    index: int | None = None  # of a list's item; None in a table
    key: Where = ()  # of a table's member, dotted keys have several parts
    wants_key: bool = field(init=False)

    def __post_init__(self) -> None:
        self.wants_key = self.index is None

    @property
    def here(self) -> Where:
        """The path of the current item or member."""
        return (*self.path, *self.key) if self.index is None else (*self.path, self.index)

    def advance(self) -> None:
        """Go to the next item or member."""
        if self.index is None:
            self.key, self.wants_key = (), True
        else:
            self.index += 1

    def name(self, part: str) -> None:
        """Take a part of the member's key."""
        self.key, self.wants_key = (*self.key, part), False
