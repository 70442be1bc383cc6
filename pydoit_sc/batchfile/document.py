"""What all formats share: the text of a file, the data in it, and the places of its keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pydoit_sc.batchfile.errors import BatchfileError, Problem, Where

if TYPE_CHECKING:
    from yaml.nodes import Node


class Source(NamedTuple):
    """Where the batchfile lies, and when it is read."""

    folder: str  # absolute
    file: str  # as messages name it
    now: datetime
    outputs: tuple[str, ...] = ()  # the folders of the batch's outputs: no pattern looks into them


Place = tuple[int | None, int | None]  # line and column, from 1

#: The word that means standard input in place of a path, and how messages name it.
STDIN = "-"
STDIN_NAME = "standard input"

_BOM = b"\xef\xbb\xbf"


class Document(NamedTuple):
    """A file's text and the data in it."""

    file: str  # as messages name it
    format: str  # toml, json, jsonl, yaml, csv or lines
    text: str
    data: Any
    root: Node | None = None  # YAML's tree, which has the places


def failure(file: str, message: str, line: int | None = None, column: int | None = None) -> BatchfileError:
    """Return the error of a file that has one problem."""
    return BatchfileError([Problem(file, line, column, message)])


def place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of an offset into `text`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def read_text(path: str, file: str) -> str:
    """Return a file's text; raise BatchfileError if it has none."""
    try:
        with open(0 if path == STDIN else path, "rb", closefd=path != STDIN) as stream:
            raw = stream.read()
    except FileNotFoundError:
        raise failure(file, "no such file") from None
    except IsADirectoryError:
        raise failure(file, "is a folder, expected a file") from None
    except (OSError, ValueError) as error:
        raise failure(file, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    text = _decode(raw, file)
    if not text.strip():
        raise failure(file, "empty file")
    if (nul := text.find("\0")) >= 0:
        raise failure(file, "a NUL character; is this a text file?", *place(text, nul))
    return text


def _decode(raw: bytes, file: str) -> str:
    skipped = len(_BOM) if raw.startswith(_BOM) else 0
    try:
        return raw[skipped:].decode()
    except UnicodeDecodeError as error:
        start = error.start + skipped
        before = raw[skipped:start].decode()
        line, column = place(before, len(before))
        raise failure(file, f"not UTF-8 at byte {start:,} (0x{raw[start]:02x})", line, column) from None


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
