"""The runs that took longest."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest

from pydoit_sc.report.html import Html, section, table
from pydoit_sc.report.reported import Reported
from pydoit_sc.report.scale import bar
from pydoit_sc.show.standings import WORDS
from pydoit_sc.sizes import show_size
from pydoit_sc.times import local, span

_SHOWN = 15


def slowest(timed: Sequence[Reported]) -> Html:
    """Return the section; "" where no times are known."""
    if not timed:
        return Html()
    found = nlargest(_SHOWN, timed, key=lambda one: one.seconds)
    rows = (_row(one, found[0].seconds) for one in found)
    headers = ("Run", "", "Took", "CPU", "Memory", "Status", "Started", "Host", "Rank")
    return section("slowest", "Slowest runs", table(headers, rows, class_="bars", numbers=(2, 3, 4, 8)))


def _row(one: Reported, most: float) -> Sequence[object]:
    assert one.record
    return (
        one.task,
        bar([(one.seconds / most, one.status)]),
        span(one.seconds),
        span(one.cpu) if one.cpu else "",
        show_size(one.memory) if one.memory else "",
        WORDS[one.status],
        local(one.record.started),
        one.record.host,
        one.lane.rank,
    )
