"""UTF-8 in every locale: what words, paths and the environment are as bytes never depends on the user's settings."""

from __future__ import annotations

import os
import sys

from pydoit_sc.errors import UserError

#: An option `-X`: the encoding of the standard streams before this program was started again.
_STREAMS = "pydoit_sc_streams"


def insist() -> None:
    """Start this program again in Python's UTF-8 mode, if the locale has another encoding; for the start of a program.

    Only the interpreter's start can set how it translates paths and words. The option is for this process alone: it is
    in no variable, which runs would inherit.
    """
    if sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    encoding = next((stream.encoding for stream in (sys.stdout, sys.stderr) if stream), "utf-8")
    options = ["-X", "utf8", "-X", f"{_STREAMS}={encoding}"]
    os.execv(sys.executable, [sys.executable, *options, *sys.orig_argv[1:]])


def check_encoding() -> None:
    """Raise UserError where this program has not insisted, and the locale has another encoding."""
    if (found := sys.getfilesystemencoding()) != "utf-8":
        raise UserError(
            f"this locale's encoding is {found}, in which names would be other bytes; set PYTHONUTF8=1, or use `pydoit-sc`"
        )


def encoding_of(stream_encoding: str) -> str:
    """Return the encoding in which text is shown: the one that Python had chosen for this user, not the mode's."""
    return str(sys._xoptions.get(_STREAMS, stream_encoding))


def to_bytes(text: str) -> bytes:
    r"""Return a text's bytes; what Python has read of a name that is not UTF-8 becomes that name's bytes again.

    Raises UnicodeEncodeError for any other lone surrogate.

    >>> to_bytes("caf\udce9")
    b'caf\xe9'
    """
    return text.encode("utf-8", "surrogateescape")


def is_text(text: str) -> bool:
    r"""Return whether a text has bytes: it has no lone surrogate but those of a name that is not UTF-8.

    >>> is_text("caf\udce9"), is_text("\ud800")
    (True, False)
    """
    if text.isascii():
        return True
    try:
        to_bytes(text)
    except UnicodeEncodeError:
        return False
    return True


def escaped(text: str) -> str:
    r"""Return a text whose bytes that are not UTF-8 are written as escapes: a name that is told to people and stores.

    >>> escaped("caf\udce9")
    'caf\\xe9'
    """
    return text if text.isascii() else to_bytes(text).decode("utf-8", "backslashreplace")
