"""What has failed, by kind, the most frequent first, with the end of the stderr of one run of each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydoit_sc.outcomes.kinds import Kind
from pydoit_sc.report.html import Html, el, section

SHOWN = 20  # kinds
_NAMED = 5  # runs of a kind
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def failures(kinds: Sequence[tuple[int, Kind]], again: str) -> Html:
    """Return the section about kinds with their numbers; `again` is the command that executes runs again, without `--group`."""
    if not kinds:
        return section("failures", "Failures", el("p", "Nothing has failed.", class_="none"))
    rest = sum(len(kind.tasks) for _, kind in kinds[SHOWN:])
    more = (
        [el("p", f"And {rest:,} more runs of {len(kinds) - SHOWN:,} kinds.", class_="note")] if rest else []
    )
    items = (_kind(kind, number, f"{again} --group {number}") for number, kind in kinds[:SHOWN])
    return section("failures", "Failures", el("ol", *items, class_="kinds"), *more)


def _kind(kind: Kind, number: int, again: str) -> Html:
    names = ", ".join(kind.tasks[:_NAMED]) + ("" if len(kind.tasks) <= _NAMED else ", …")
    find = el(
        "button", "show in the table", type="button", class_="find", data_find=f"group={number}", hidden=""
    )
    parts = [
        el("p", el("strong", f"{len(kind.tasks):,} × {kind.ended}"), " ", el("code", kind.said)),
        el("p", f"{names} ", find),
        el("p", "Execute them again: ", el("code", again)),
    ]
    if kind.tail:
        said = el("pre", shown(kind.tail), tabindex=0)
        parts.append(el("details", el("summary", "The end of the stderr of one of them"), said))
    return el("li", *parts)


def shown(tail: bytes) -> str:
    r"""Return what a terminal would show of the end of stderr: no colours, and of a line that is written over itself the last state.

    >>> shown(b"\x1b[1mno\x1b[0m\n10 %\r20 %\r\n\tat x\xff\n")
    'no\n20 %\n        at x\\xff'
    """
    lines = _COLOURS.sub("", tail.decode(errors="backslashreplace")).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].expandtabs() for line in lines).strip("\n")
