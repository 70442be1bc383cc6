"""Plain lists: one command a line, and runs that are known by their commands."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_SHORT = 12  # hexadecimal digits of a name: two of a million commands share them once in 500 lists


def command_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the commands of a plain list with their lines, from 1: blank lines and those that begin with `#` are none."""
    for number, line in enumerate(text.split("\n"), 1):
        command = line.strip(" \t\r\ufeff")  # a mark of another file stands where `cat` joins two
        if command and not command.startswith("#"):
            yield number, command


def named_by_command(items: Sequence[Any]) -> list[Any]:
    """Return the items of a list of runs; one that is a command alone becomes a run with a name made from it.

    The name is a digest of the command, wherever it stands; the second of two equal commands has `-2` behind it.

    >>> named_by_command(["true", "false", "true", {"cmd": "true"}])
    [{'cmd': 'true', 'name': 'b5bea41b6c62'}, {'cmd': 'false', 'name': 'fcbcf165908d'}, {'cmd': 'true', 'name': 'b5bea41b6c62-2'}, {'cmd': 'true'}]
    """
    names = _names(dict.fromkeys(item for item in items if isinstance(item, str)))
    times: dict[str, int] = {}
    listed: list[Any] = []
    for item in items:
        if not isinstance(item, str):
            listed.append(item)
            continue
        name = names[item]
        times[name] = count = times.get(name, 0) + 1
        listed.append({"cmd": item, "name": name if count == 1 else f"{name}-{count}"})
    return listed


def _names(commands: Iterable[str]) -> dict[str, str]:
    """Return a name for each command: the beginning of its digest, or all of it where another one begins so."""
    digests = {cmd: hashlib.sha256(cmd.encode("utf-8", "surrogatepass")).hexdigest() for cmd in commands}
    alike = Counter(digest[:_SHORT] for digest in digests.values())
    if len(alike) == len(digests):
        return {cmd: digest[:_SHORT] for cmd, digest in digests.items()}
    return {
        cmd: digest[:_SHORT] if alike[digest[:_SHORT]] == 1 else digest for cmd, digest in digests.items()
    }
