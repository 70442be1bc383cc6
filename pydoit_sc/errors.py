"""The error that a user can correct, and the texts of errors; imports nothing, so that everything may use it."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can correct; the message says where it is and what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """Return a text with control characters, except line ends, written as escapes: a terminal would obey them."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def reason(error: Exception) -> str:
    """Return the text of an error; for an OSError its path and its reason, without the number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
