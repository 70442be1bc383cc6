"""The page: its sections in their order, with the style and the script in it, and a policy that lets nothing else load."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import NamedTuple

from pydoit_sc.outcomes.kinds import Kind
from pydoit_sc.plurals import counted
from pydoit_sc.report.efficiency import efficiency
from pydoit_sc.report.failures import failures
from pydoit_sc.report.heat import heat_maps
from pydoit_sc.report.html import el, join, markup
from pydoit_sc.report.levels import columns_of
from pydoit_sc.report.listing import pack
from pydoit_sc.report.overview import overview
from pydoit_sc.report.reported import Reported, by_stage
from pydoit_sc.report.scale import Clock
from pydoit_sc.report.slowest import slowest
from pydoit_sc.report.spread import spreads
from pydoit_sc.report.timeline import timeline
from pydoit_sc.report.workers import workers_of
from pydoit_sc.times import local


class About(NamedTuple):
    """What a report is about."""

    batch: str  # its name
    store: str  # the URL of its outputs
    selection: str  # the words that have chosen runs; "": all
    made: float  # seconds since the epoch
    again: str  # the command that executes failed runs of a kind again, without `--group`


def page(about: About, runs: Sequence[Reported], kinds: Sequence[tuple[int, Kind]]) -> bytes:
    """Return the page about these runs, which stand stage by stage, and about their failures by kind, with the numbers of these."""
    timed = [one for one in runs if one.start]
    clock = Clock((one.start, one.end) for one in timed) if timed else None
    workers = workers_of(timed)
    columns = {name: columns_of(members) for name, members in by_stage(runs).items()}
    sections = (
        overview(runs, clock, workers),
        failures(kinds, about.again),
        timeline(timed, clock, workers),
        spreads(runs, columns),
        heat_maps(runs, columns),
        efficiency(timed, workers),
        slowest(timed),
    )
    numbers = {task: number for number, kind in kinds for task in kind.tasks}
    return _fill(about, join(sections), pack(runs, columns, numbers), len(runs))


def _fill(about: About, sections: str, packed: str, count: int) -> bytes:
    style, script = _read("page.css"), _read("page.js")
    chosen = [el("span", f"only {about.selection}")] if about.selection else []
    said = (
        el("span", counted(count, "run")), *chosen, el("span", about.store),
        el("span", f"as of {local(about.made)}"),
    )  # fmt: skip
    text = Template(_read("page.html")).substitute(
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        title=markup(about.batch),
        style=style,
        about=join(said, " · "),
        sections=sections,
        packed=packed,
        script=script,
    )
    return text.encode()


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what a policy calls a script or a style, so that it allows this one alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
