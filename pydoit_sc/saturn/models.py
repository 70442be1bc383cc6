"""The values that Saturn Cloud's API speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydoit_sc.batchfile.errors import did_you_mean
from pydoit_sc.saturn.errors import SaturnError

#: A recipe is passed on whole, also the keys that are unknown here.
Recipe = dict[str, Any]

RESOURCE_TYPES = ("deployment", "job", "workspace")


def resource_type(word: str) -> str:
    """Return the type that `word` names, in any case, singular or plural; raise SaturnError."""
    lowered = word.lower()
    for known in RESOURCE_TYPES:
        if lowered in (known, f"{known}s"):
            return known
    raise SaturnError(f"unknown resource type `{word}`{did_you_mean(word, RESOURCE_TYPES)}")


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation that the user belongs to."""

    name: str
    is_primary: bool


@dataclass(frozen=True, slots=True)
class Size:
    """An instance type."""

    name: str
    cores: int
    gpu: int  # how many
    raw: Mapping[str, Any]  # all that Saturn Cloud says of it

    @property
    def nprocs(self) -> int:
        """How many runs at once it is made for: its GPUs, else its cores."""
        return self.gpu or self.cores


@dataclass(frozen=True, slots=True)
class Pod:
    """A machine that executes, or has executed, a resource."""

    name: str
    status: str
    source: Literal["live", "historical"]
    start_time: str  # as the API writes it, empty if it has not started
    end_time: str
