"""Plugins for doit of other packages: whether there are any, without reading the metadata of all packages.

doit asks `importlib.metadata` for each kind of plugin, which takes a quarter of the time of a short command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

_METADATA = (".dist-info", ".egg-info")


class OwnEntryPoint(NamedTuple):
    """One of our own package, as pyproject.toml has it for `doit`."""

    name: str
    module: str
    attr: str


_OURS = {"doit.BACKEND": (OwnEntryPoint("batchfile", "pydoit_sc.tasks.state", "StateDB"),)}


def entry_points(group: str) -> Iterable[Any]:
    """Return the entry points of a group, which is one of doit's."""
    if not any(f"[{group}]".encode() in text for text in _declared(sys.path)):
        return _OURS.get(group, ())
    from importlib import metadata  # noqa: PLC0415 - it is what is to be avoided

    return metadata.entry_points(group=group)


def _declared(folders: Sequence[str]) -> Iterator[bytes]:
    """Yield what each package but ours says of its entry points; archives are not looked into."""
    for folder in folders:
        with suppress(OSError):
            with os.scandir(folder or ".") as found:
                names = [entry.name for entry in found if entry.name.endswith(_METADATA)]
            for name in names:
                if not name.startswith("pydoit_sc-"):
                    with suppress(OSError), open(f"{folder or '.'}/{name}/entry_points.txt", "rb") as file:
                        yield file.read()
