"""Where in a shell command a placeholder stands: outside quotes, inside them, or where no quoting is safe.

The reading of a command is a stack of what is open. It need not be complete, only never wrong about the places that it
calls plain: where `sh` and `bash` differ, or where it would have to read more of the language, it is unsure from there on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace

_ARITHMETIC, _PARAMETER = "((", "${"

#: What may be open around a placeholder, and makes quoting unsafe.
_UNSAFE = {
    "`": "inside backquotes",
    _ARITHMETIC: "inside `((…))`",
    _PARAMETER: "inside `${…}`",
    "{": "inside braces",
    "#": "in a comment",
}
_STARTS = " \t\n;&|()<>"  # a word ends there, and `#` after it begins a comment

_OPENING = r"\\(?:.|\Z)|\$\(\(|\$[({]|`"
_PLAIN = re.compile(_OPENING + r"|\$['\[]|\(\(|<<<?|\bcase\b|[ \t\n;&|<>(){}'\"#]", re.DOTALL)
_INSIDE = {
    "'": re.compile("'"),
    '"': re.compile(_OPENING + '|"', re.DOTALL),
    "`": re.compile(r"\\(?:.|\Z)|`", re.DOTALL),
    "#": re.compile(r"\n"),
    _PARAMETER: re.compile(_OPENING + r"|[}'\"]", re.DOTALL),
    _ARITHMETIC: re.compile(_OPENING + r"|[()'\"]", re.DOTALL),
}
_DELIMITER = re.compile(r"(-?)[ \t]*(['\"]?)([A-Za-z_][\w.-]*)\2(?=[ \t\n;&|()<>])", re.ASCII)
_EXPANDED = re.compile(r"\$[({]|`|\\\n")  # in a here-document: the shells do not agree on its end
_NEUTRAL = re.compile(r"[\w@%+=:,./ -]*", re.ASCII)


@dataclass(repr=False)
class Reading:
    """How far a command has been read: what is open there, the innermost last."""

    open: list[str] = field(default_factory=list)
    #: The here-documents that begin on the next line: the end of each, and whether it is expanded.
    bodies: list[tuple[re.Pattern[str], bool]] = field(default_factory=list)
    before: str = "\n"  # the character before; "" where it is not known
    escaped: bool = False  # a backslash stands before
    unsure: str = ""  # why nothing more is known

    def in_quotes(self) -> bool:
        """Return whether the place is inside quotes, where a value that needs none can stand."""
        return bool(self.open) and self.open[-1] in "'\""

    def unsafe(self) -> str:
        """Return where the place is, if no value can be quoted there."""
        if self.unsure:
            return self.unsure
        if self.escaped:
            return "after a backslash"
        if self.before == "$" and self.open[-1:] != ["'"]:
            return "after `$`"
        return next((_UNSAFE[kind] for kind in self.open if kind in _UNSAFE), "")

    def pass_value(self) -> None:
        """Go on behind a value that is one word."""
        self.before, self.escaped = "x", False

    def pass_raw(self, values: Iterable[str]) -> None:
        """Go on behind one of these values, none of which is quoted."""
        for value in values:
            if not _NEUTRAL.fullmatch(value):
                after = deepcopy(self)
                after.read(value)
                if replace(after, before=self.before) != self:
                    self.unsure = f"after a raw value such as {value[:40]!r}"
        self.before = ""

    def read(self, text: str) -> None:
        """Go on behind a part of the command."""
        at = int(self.escaped and bool(text))
        self.escaped = self.escaped and not text
        while not self.unsure:
            inside = self.open[-1] if self.open else ""
            found = _INSIDE.get(inside, _PLAIN).search(text, at)
            if found is None:
                break
            token, at = found.group(), found.end()
            if token[0] == "\\":
                self.escaped = len(token) == 1
            elif inside in _INSIDE:
                at = self._read_inside(inside, token, text, at)
            else:
                before = text[found.start() - 1] if found.start() else self.before
                at = self._read_plain(token, before, text, at)
        self.before = text[-1:] or self.before

    def _read_inside(self, inside: str, token: str, text: str, at: int) -> int:
        closing = {_PARAMETER: "}", _ARITHMETIC: ")", "#": "\n"}.get(inside, inside)
        if token == closing:
            self.open.pop()
            return self._read_bodies(text, at) if token == "\n" else at
        if token in "'\"":
            self.unsure = f"after a quote {_UNSAFE[inside]}"
        else:
            self._open(token)
        return at

    def _read_plain(self, token: str, before: str, text: str, at: int) -> int:
        if token in _STARTS or token == "((":
            while self.open and self.open[-1] == "{":
                self.open.pop()
        if token == "\n":
            return self._read_bodies(text, at)
        if token == "<<":
            return self._read_delimiter(text, at)
        if token == "#":
            self._read_hash(before)
        elif token in ("$'", "$["):
            self.unsure = f"after `{token}`, which only some shells know"
        elif token == "case" and "(" in self.open:
            self.unsure = "after `case` inside `(…)`"
        elif token in (")", "}"):
            if self.open and self.open[-1] == {")": "(", "}": "{"}[token]:
                self.open.pop()
        else:
            self._open(token)
        return at

    def _read_hash(self, before: str) -> None:
        if not before:
            self.unsure = "after a raw value and `#`"
        elif before in _STARTS:
            self.open.append("#")

    def _open(self, token: str) -> None:
        if token in ("$((", "(("):
            self.open += [_ARITHMETIC, _ARITHMETIC]  # each is closed by one parenthesis
        elif token in ("$(", "("):
            self.open.append(_ARITHMETIC if self.open[-1:] == [_ARITHMETIC] and token == "(" else "(")
        elif token in ("'", '"', "`", "{", _PARAMETER):
            self.open.append(token)

    def _read_delimiter(self, text: str, at: int) -> int:
        found = _DELIMITER.match(text, at)
        if found is None:
            self.unsure = "after `<<`"
            return at
        tabs, quote, word = found.groups()
        end = re.compile(("^\t*" if tabs else "^") + re.escape(word) + "\n", re.MULTILINE)
        self.bodies.append((end, not quote))
        return found.end()

    def _read_bodies(self, text: str, at: int) -> int:
        """Skip the here-documents that begin here."""
        for end, expanded in self.bodies:
            found = end.search(text, at)
            if found is None or (expanded and _EXPANDED.search(text, at, found.start())):
                self.unsure = "in a here-document, or after one"
                return at
            at = found.end()
        self.bodies = []
        return at
