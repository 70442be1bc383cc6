"""The error that a user can correct, and the texts of errors; imports nothing, so that everything may use it."""

from __future__ import annotations

import sys

#: Spaces of other scripts and of typography, which Python does not call printable.
_SPACES = "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"

_WARNED: set[str] = set()


class UserError(Exception):
    """A mistake that the user can correct; the message says where it is and what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    r"""Return a text with control characters, except line ends, written as escapes: a terminal would obey them.

    >>> print(printable("no such file: \x1b]52;c;cm0gLXJm\x07"))
    no such file: \x1b]52;c;cm0gLXJm\x07
    """
    lines = text.split("\n")
    return "\n".join(line if line.isprintable() else "".join(map(_visible, line)) for line in lines)


def on_a_line(text: str) -> str:
    r"""Return a text as `printable` does, and on one line, which nothing in it ends: names in a store may have line ends.

    >>> print(on_a_line("results/a\nb: missing"))
    results/a\nb: missing
    """
    return printable(text).replace("\n", "\\n")


def _visible(char: str) -> str:
    """Return a character, or its escape; a byte that is not UTF-8 is shown as that byte."""
    if char.isprintable() or char in _SPACES:
        return char
    byte = ord(char) - 0xDC00 if "\udc80" <= char <= "\udcff" else None
    return f"\\x{byte:02x}" if byte else char.encode("unicode_escape").decode()


def shortened(text: str, most: int = 100) -> str:
    """Return a text, or its beginning where it is very long: what was found may be a whole file, also as a word.

    >>> shortened("999999999", 5)
    '99999…'
    """
    return text if len(text) <= most else f"{text[:most]}…"


def reason(error: Exception) -> str:
    """Return the text of an error; for an OSError its path and its reason, without the number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def warn_once(text: str, such_as: str = "") -> None:
    """Tell the user something that ends nothing, once; `such_as` is an example of it, another one each time."""
    if text not in _WARNED:
        _WARNED.add(text)
        example = f", such as {such_as}" if such_as else ""
        print(f"WARNING: {printable(text + example)}", file=sys.stderr, flush=True)
