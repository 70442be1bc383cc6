"""Runs as a report has them, made from values; and what a page holds."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from pydoit_sc.batch import Axes, Run, Settings, Stage, Status
from pydoit_sc.report.reported import Reported, report_of
from pydoit_sc.store import Record

BEGUN = 1_795_593_600.0  # 2026-11-25 08:00 UTC


def reported(
    name: str = "1",
    start: float = 0.0,
    seconds: float = 10.0,
    *,
    code: int = 0,
    worker: str = "w1",
    rank: int | None = 0,
    axes: Axes | None = None,
    slots: int = 1,
    **more: Any,
) -> Reported:
    """Return a run of the stage `fit` that has been started so many seconds after BEGUN."""
    run = Run(name, f"fit {name}", f"fit/{name}", Settings(slots=slots))
    begun = BEGUN + start
    told = {"host": "node1", "memory": 0, "cpu": seconds, **more}
    record = Record(code, f"{worker}-1", "f", started=begun, ended=begun + seconds, rank=rank, **told)
    stage = Stage("fit", [run], axes=lambda _: axes or {})
    return report_of(stage, run, Status.ERROR if code else Status.COMPLETED, record)


class _Reader(HTMLParser):
    """Notes what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, Mapping[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read_page(data: bytes) -> _Reader:
    """Return the elements and the texts of a page."""
    reader = _Reader()
    reader.feed(data.decode())
    reader.close()
    return reader


def unpack(data: bytes) -> dict[str, list[Any]]:
    """Return the columns of a page's table of runs, by title."""
    found = re.search(rb'id="packed">([\w+/=]*)</script>', data)
    assert found
    return {
        column["title"]: _cells(**column)
        for column in json.loads(gzip.decompress(base64.b64decode(found[1])))
    }


def _cells(
    values: list[Any] | None, levels: list[str] | None = None, scale: float = 1, **_: object
) -> list[Any]:
    if levels is not None:
        return levels if values is None else [levels[place] for place in values]
    return [None if value is None else value / scale for value in values or ()]
