"""What has failed, by kind, the most frequent first, with the end of the stderr of one run of each."""

from __future__ import annotations

from collections.abc import Sequence

from pydoit_sc.outcomes.kinds import Kind
from pydoit_sc.report.html import Html, el, section
from pydoit_sc.show.progress import last_state

_SHOWN = 20  # kinds
_NAMED = 5  # runs of a kind


def failures(kinds: Sequence[tuple[int, Kind]], again: str) -> Html:
    """Return the section about kinds with their numbers; `again` is the command that executes runs again, without `--group`."""
    if not kinds:
        return section("failures", "Failures", el("p", "Nothing has failed.", class_="none"))
    rest = sum(len(kind.tasks) for _, kind in kinds[_SHOWN:])
    more = (
        [el("p", f"And {rest:,} more runs of {len(kinds) - _SHOWN:,} kinds.", class_="note")] if rest else []
    )
    items = (_kind(kind, number, f"{again} --group {number}") for number, kind in kinds[:_SHOWN])
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
        lines = kind.tail.decode(errors="backslashreplace").strip("\n").split("\n")
        said = el("pre", "\n".join(map(last_state, lines)), tabindex=0)
        parts.append(el("details", el("summary", "The end of the stderr of one of them"), said))
    return el("li", *parts)
