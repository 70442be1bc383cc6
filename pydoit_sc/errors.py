"""The error that a user can correct, and the words for one of the system; whoever uses them loads nothing else."""

from __future__ import annotations


class UserError(Exception):
    """Something that was given is not as it should be; the message says what."""

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: all but line ends is written as its escape."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def reason(error: Exception) -> str:
    """Return what an error says; of an OSError its path and its reason, without the number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
