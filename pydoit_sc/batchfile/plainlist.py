"""Plain lists: one command a line, and runs that are known by their commands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from pydoit_sc.batchfile.names import repeated_hashes
from pydoit_sc.made import pack

_SHORT = 12  # hexadecimal digits of a name: two of a million commands share them once in 500 lists


def command_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the commands of a plain list with their lines, from 1: blank lines and those that begin with `#` are none."""
    for number, line in enumerate(lines, 1):
        command = line.strip(" \t\r\n\ufeff")  # a mark of another file stands where `cat` joins two
        if command and not command.startswith("#"):
            yield number, command


def short_name(cmd: str) -> str:
    """Return the name of a run that is a command alone, wherever it stands, where no other one has it.

    >>> short_name("true")
    'b5bea41b6c62'
    """
    return _digest(cmd)[:_SHORT]


def told_apart(names: Sequence[str], cmds: Sequence[str], is_short: Sequence[int]) -> Sequence[str]:
    """Return the names of runs, those that are short ones so that no two commands have the same.

    Commands that share one have their whole digest; the second of two equal commands has `-2` behind its name.

    >>> [*told_apart(["b5bea41b6c62", "a", "b5bea41b6c62"], ["true", "true", "true"], [1, 0, 1])]
    ['b5bea41b6c62', 'a', 'b5bea41b6c62-2']
    """
    hashes = repeated_hashes(compress(names, is_short))
    return pack(_distinct(names, cmds, is_short, hashes)) if hashes else names


def _distinct(
    names: Sequence[str], cmds: Sequence[str], is_short: Sequence[int], hashes: set[int]
) -> Iterator[str]:
    owners: dict[str, str] = {}
    shared = {
        name
        for name, cmd in compress(zip(names, cmds, strict=True), is_short)
        if hash(name) in hashes and owners.setdefault(name, cmd) != cmd
    }
    times: dict[str, int] = {}
    for name, cmd, short in zip(names, cmds, is_short, strict=True):
        if not (short and hash(name) in hashes):
            yield name
            continue
        own = _digest(cmd) if name in shared else name
        times[own] = count = times.get(own, 0) + 1
        yield f"{own}-{count}" if count > 1 else own


def _digest(cmd: str) -> str:
    return hashlib.sha256(cmd.encode("utf-8", "surrogatepass")).hexdigest()
