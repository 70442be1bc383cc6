"""The engines that are installed, by name: entry points of the group `pydoit_sc.engines`, ours and those of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pydoit_sc.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Each of these entry points names the class of an engine, whose `table` it reads from a batchfile.
GROUP = "pydoit_sc.engines"


class InstalledError(UserError):
    """An engine is installed and cannot be used."""


def engine_names() -> list[str]:
    """Return the names of the engines that are installed."""
    return sorted(_points())


def engine_class(name: str) -> Any:
    """Return the class of an installed engine; raises InstalledError where two packages bring one, or it is broken."""
    found = _points()[name]
    packages = sorted({_package(point) for point in found})
    if len(packages) > 1:
        raise InstalledError(f"{' and '.join(packages)} each bring one; keep one of them")
    try:
        return found[0].load()
    except Exception as error:  # whatever its package raises when it is imported
        where = f"{found[0].value} of {packages[0]}"
        raise InstalledError(f"{where}: {type(error).__name__}: {error}") from error


@cache
def _points() -> Mapping[str, Sequence[EntryPoint]]:
    """Return the entry points by name; to look for them takes milliseconds."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - many commands need none

    points = defaultdict[str, list["EntryPoint"]](list)
    for point in entry_points(group=GROUP):
        points[point.name].append(point)
    return dict(points)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
