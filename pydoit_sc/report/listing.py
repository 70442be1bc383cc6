"""The table of all runs: columns, packed into one text; `page.js` draws, sorts and searches them."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydoit_sc.ends import briefly
from pydoit_sc.errors import printable
from pydoit_sc.report.reported import Reported, by_stage
from pydoit_sc.report.spread import Columns
from pydoit_sc.show.standings import WORDS
from pydoit_sc.show.tables import cut_middle

_LONGEST = 300  # characters of a command


def pack(runs: Sequence[Reported], columns: Columns, kinds: Mapping[str, int]) -> str:
    """Return the table as base64 of JSON, compressed; `kinds` has the numbers of the kinds of failed runs, by task."""
    listed: list[Mapping[str, Any]] = [
        _texts("Run", (one.task for one in runs)),
        _texts("Status", (WORDS[one.status] for one in runs)),
        _texts("Ended", map(_ended, runs)),
        _numbers("Duration", "span", runs, lambda one: one.seconds, 1000),
        _numbers("CPU", "span", runs, lambda one: one.cpu, 100),
        _numbers("Memory", "size", runs, lambda one: one.memory, 1e-5),
        _numbers("Started", "moment", runs, lambda one: _local(one.start) if one.start else 0, 1),
        _texts("Host", (one.record.host if one.record else "" for one in runs)),
        {"title": "Rank", "values": [one.lane.rank if one.start else None for one in runs]},
        *_axes(runs, columns),
        {"title": "group", "values": [kinds.get(one.task) for one in runs], "is_axis": True},
        _texts("Command", (cut_middle(one.run.cmd, _LONGEST) for one in runs)),
    ]
    text = json.dumps([column for column in listed if _says(column)], separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _says(column: Mapping[str, Any]) -> bool:
    """Return whether a column has anything to show."""
    levels = column.get("levels")
    return any(value is not None for value in column["values"]) if levels is None else levels != [""]


def _ended(one: Reported) -> str:
    return briefly(one.record.code, one.record.reason) if one.record and one.record.code else ""


def _local(seconds: float) -> float:
    """Return a moment such that, read as UTC, it is the time of this machine's clock."""
    return seconds + time.localtime(seconds).tm_gmtoff


def _texts(title: str, values: Iterable[str], **more: object) -> Mapping[str, Any]:
    """Return a column of texts: each once, and where it stands, unless none is there twice."""
    places: dict[str, int] = {}
    of = [places.setdefault(value, len(places)) for value in values]
    levels = [printable(value) for value in places]
    return {"title": title, "levels": levels, "values": of if len(of) > len(levels) else None, **more}


def _numbers(
    title: str, kind: str, runs: Iterable[Reported], value: Callable[[Reported], float], scale: float
) -> Mapping[str, Any]:
    """Return a column of numbers, as whole ones in units of `1 / scale`; None where the value is 0, not known."""
    found = (value(one) for one in runs)
    return {
        "title": title,
        "kind": kind,
        "scale": scale,
        "values": [round(number * scale) if number else None for number in found],
    }


def _axes(runs: Sequence[Reported], columns: Columns) -> Iterable[Mapping[str, Any]]:
    """Yield a column for each axis of any stage."""
    stages = by_stage(runs)
    names = dict.fromkeys(name for stage in stages for name in columns[stage])
    for name in names:
        values = (
            value
            for stage, members in stages.items()
            for value in columns[stage].get(name) or [""] * len(members)
        )
        yield _texts(name, values, is_axis=True)
