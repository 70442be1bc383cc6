"""Plain lists: one command a line, and runs that are known by their commands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
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
    names = [_digest(item)[:_SHORT] if isinstance(item, str) else "" for item in items]
    owners: dict[str, str] = {}
    shared = {
        name for name, cmd in zip(names, items, strict=True) if name and owners.setdefault(name, cmd) != cmd
    }
    times: dict[str, int] = {}
    listed: list[Any] = []
    for name, item in zip(names, items, strict=True):
        if not name:
            listed.append(item)
            continue
        own = _digest(item) if name in shared else name
        if len(owners) < len(items):  # some are there twice
            times[own] = count = times.get(own, 0) + 1
            own += f"-{count}" if count > 1 else ""
        listed.append({"cmd": item, "name": own})
    return listed


def _digest(cmd: str) -> str:
    return hashlib.sha256(cmd.encode("utf-8", "surrogatepass")).hexdigest()
