"""What Tab offers: `pydoit-sc tabcompletion --complete SHELL LINE`, which the shells' scripts call at every Tab.

So neither doit nor the batchfile is read for it. What they say is kept in a file of the user's own: the options of the
commands, and the names of the batch, sorted. It holds as long as the files that were opened for it stay as they were,
and for an hour at most, since an axis may end with `today`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import Any

from pydoit_sc import __version__
from pydoit_sc.catalogue import BATCHFILES, COMMANDS
from pydoit_sc.commands.offers import Flag, Known, Typed, offers, split

_HOLDS = 3600.0  # seconds
_LONG_AGO = 30 * 86400.0  # seconds
_SPECIAL = re.compile(r"[^\w@%+=:,./-]")  # to bash
_IN_QUOTES = re.compile(r'["$`\\]')  # to bash, within double quotes


def complete(shell: str, line: str) -> Iterator[str]:
    """Yield the lines that a shell's script takes; a word that is whole ends with a space, what it is for follows a tab."""
    typed = split(line)
    breaks = os.environ.get("COMP_WORDBREAKS", "") if shell == "bash" else ""
    for offer in offers(_known(typed.words), typed.words[1:], typed.current):
        word = _as_bash(offer.word, typed, breaks) if shell == "bash" else offer.word
        yield f"{word}{' ' * (offer.is_whole and not typed.quote)}\t{offer.purpose}"


def _as_bash(word: str, typed: Typed, breaks: str) -> str:
    """Return a word as bash inserts it: quoted, and without what is before the last of its breaks, which it keeps.

    Within quotes that are open it keeps nothing. In double ones an escaped `!` would keep its backslash: it stands outside.
    """
    if typed.quote == "'":
        return word.replace("'", r"'\''")
    if typed.quote:
        return _IN_QUOTES.sub(r"\\\g<0>", word).replace("!", r'"\!"')
    kept = max((typed.raw.rfind(char) + 1 for char in breaks if char not in " \t\n\"'\\"), default=0)
    return _SPECIAL.sub(r"\\\g<0>", word[len(split(typed.raw[:kept]).current) :])


def _known(words: Sequence[str]) -> Known:
    """Return what is known of the batch that these words are about; what is kept of it, where that holds."""
    file = _batchfile(words)
    digest = blake2b(os.fsencode(os.path.abspath(file)) if file else b"", digest_size=16).hexdigest()
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(cache, "pydoit-sc", f"completion-{digest}")
    if (kept := _load(path)) is not None:
        return kept
    from pydoit_sc.commands.gather import gather  # noqa: PLC0415 - it reads doit and the batchfile
    from pydoit_sc.files import make_folders, only_mine, write_whole  # noqa: PLC0415

    with _opening() as opened:
        known = gather(file)
    head = json.dumps(
        {
            "version": __version__,
            "stamps": {name: _stamp(name) for name in opened},
            "usages": known.usages,
            "flags": known.flags,
        }
    )
    with suppress(OSError):
        make_folders(os.path.dirname(path))
        data = "\n".join([head, *known.names])
        write_whole(path, data.encode("utf-8", "surrogateescape"), only_mine)
        _remove_old(os.path.dirname(path))
    return known


def _remove_old(folder: str) -> None:
    """Remove what was kept of batches that are long gone; raises OSError."""
    for entry in os.scandir(folder):
        if entry.stat().st_mtime < time.time() - _LONG_AGO:
            os.unlink(entry.path)


def _batchfile(words: Sequence[str]) -> str | None:
    """Return the batchfile that a command line is about, None where there is none."""
    named = [
        words[i + 1] if word in ("-f", "--file") else word.partition("=")[2]
        for i, word in enumerate(words)
        if word.startswith("--file=") or (word in ("-f", "--file") and i + 1 < len(words))
    ]
    first = next((word for word in words[1:] if word not in COMMANDS and not word.startswith("-")), "")
    if not named and os.path.splitext(first)[1] and os.path.isfile(first):
        named = [first]
    asked = named[-1] if named else os.environ.get("PYDOIT_SC_FILE", "")
    if asked == "-":  # standard input, and here that is the shell's own
        return None
    return os.path.expanduser(asked) or next((file for file in BATCHFILES if os.path.lexists(file)), None)


def _load(path: str) -> Known | None:
    """Return what is kept in a file; None where it does not hold any more."""
    try:
        with open(path, "rb") as file:
            if not 0 <= time.time() - os.fstat(file.fileno()).st_mtime < _HOLDS:
                return None
            head, *names = file.read().decode("utf-8", "surrogateescape").split("\n")
        said: dict[str, Any] = json.loads(head)
        if said["version"] != __version__ or said["usages"].keys() != COMMANDS.keys():
            return None
        if any(_stamp(name) != stamp for name, stamp in said["stamps"].items()):
            return None
        flags = {command: [Flag(*flag) for flag in flags] for command, flags in said["flags"].items()}
        return Known(said["usages"], flags, names)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _stamp(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


@contextmanager
def _opening() -> Iterator[set[str]]:
    """Give the files and folders that are opened meanwhile, those of the interpreter and of its packages left out."""
    opened = set[str]()
    listening = True
    others = ("/proc/", "/dev/", "/sys/", os.path.join(sys.prefix, ""), os.path.join(sys.base_prefix, ""))

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event in ("open", "os.scandir") and isinstance(arguments[0], str):
            path = os.path.abspath(arguments[0])
            if not path.startswith(others):
                opened.add(path)

    sys.addaudithook(hear)
    try:
        yield opened
    finally:
        listening = False
