"""What the kernel's control groups say of this process, version 1 or 2: its shares of processors and memory, who died for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_MACHINE = Path("/proc/meminfo")
#: What a group gives back when memory is short.
_RECLAIMED = ("active_file", "inactive_file", "slab_reclaimable")
_TOGETHER = 0.5  # seconds in which several may die of one want


def processors(root: Path = _ROOT, own: Path = _OWN) -> float | None:
    """Return how many processors' time this process is given at most; None where nothing bounds it."""
    found = (_quota(folder) for folder in _folders("cpu", root, own))
    return min((quota for quota in found if quota is not None), default=None)


class Memory(NamedTuple):
    """Memory in bytes."""

    total: float
    available: float


def memory(root: Path = _ROOT, own: Path = _OWN, machine: Path = _MACHINE) -> Memory:
    """Return the memory that this process may use, and what is available of it; infinite where nothing tells."""
    said = _numbers(machine)
    found = [Memory(*(1024 * said.get(name, math.inf) for name in ("MemTotal:", "MemAvailable:")))]
    found += [group for folder in _folders("memory", root, own) if (group := _memory_of(folder))]
    return Memory(min(one.total for one in found), min(one.available for one in found))


def _memory_of(folder: Path) -> Memory | None:
    """Return the memory of a group: version 2, or 1; None where it has no bound."""
    for most, used, prefix in (
        ("memory.max", "memory.current", ""),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ):
        with suppress(ValueError):  # `max`, or no such file
            total, taken = int(_read(folder / most)), int(_read(folder / used))
            said = _numbers(folder / "memory.stat")
            return Memory(total, total - taken + sum(said.get(prefix + name, 0) for name in _RECLAIMED))
    return None


def memory_kills(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Return how many processes of this group the kernel has killed for want of memory; 0 where it does not say."""
    for folder in _folders("memory", root, own):
        for name in ("memory.events", "memory.oom_control"):
            for line in _read(folder / name).splitlines():
                word, _, count = line.partition(" ")
                if word == "oom_kill" and count.isdecimal():
                    return int(count)
    return 0


class MemoryKills:
    """Whether a process that has just died of SIGKILL died for want of memory."""

    def __init__(self, count: Callable[[], int] = memory_kills) -> None:
        self._count = count
        self._known = count()
        self._until = -math.inf

    def has_killed(self, now: float) -> bool:
        """Return whether the kernel has killed a process since it was asked last, or a moment ago; `now` in seconds."""
        if (count := self._count()) > self._known:
            self._known, self._until = count, now + _TOGETHER
        return now <= self._until


def _folders(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, with all above: these bound it, too."""
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for base in (root / controllers, root / controller) if controllers else (root, root / "unified"):
            folder = base / path.lstrip("/")
            yield from (above for above in (folder, *folder.parents) if above.is_relative_to(base))


def _quota(folder: Path) -> float | None:
    """Return a group's quota in processors: `cpu.max` of version 2, two files of version 1."""
    words = _read(folder / "cpu.max").split()
    if not words:
        words = [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    with suppress(ValueError, ZeroDivisionError):  # `max`, or no such file
        quota, period = map(int, words)
        return quota / period if quota > 0 else None
    return None


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers of a file with a name and a number in each line."""
    lines = (line.split() for line in _read(path).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
