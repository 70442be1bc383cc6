"""Runs that a list knows by their positions: those in whose places other commands were, since lines were put in or taken out above.

An outcome says by the first part of its fingerprint which command it is of. Lines that are put in leave outcomes in
places whose commands now stand further down; lines that are taken out leave the outcomes of commands further down, some
beyond the end of the list. Those are asked for only where a place has changed in another way than by what was put in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from itertools import chain, islice
from typing import NamedTuple

from pydoit_sc.batch import Run, Stage
from pydoit_sc.ledger import Ledger
from pydoit_sc.store import Record

#: Positions that are asked for, as long as there are outcomes: most lists have not shrunk.
_AT_ONCE = (16, 64, 256, 1024)


class _Changed(NamedTuple):
    """A run in whose place the outcome of another command lies."""

    run: Run
    was: str  # that command, as a part of a fingerprint
    now: str


def moved(ledger: Ledger, stages: Iterable[Stage]) -> list[str]:
    """Return those unnamed runs of stages whose place in the store holds the outcome of another run's command.

    That is one which is elsewhere in the list now, or their own command's outcome is elsewhere. Raises StoreError.
    """
    found = []
    for stage in stages:
        if ledger.records and not stage.named and (changed := list(_changed(ledger, stage))):
            found += _moved(ledger, stage, changed)
    return found


def _changed(ledger: Ledger, stage: Stage) -> Iterable[_Changed]:
    for run in ledger.unsettled(stage):
        was, now = _command(ledger.records.get(run.key)), ledger.command_part(run.cmd, run.after)
        if was not in ("", now):
            yield _Changed(run, was, now)


def _command(record: Record | None) -> str:
    """Return the command that an outcome is of, as a part of its fingerprint; "" where that is not known."""
    return record.fingerprint.partition("-")[0] if record else ""


def _moved(ledger: Ledger, stage: Stage, changed: Sequence[_Changed]) -> list[str]:
    # Also those that are not chosen.
    runs = next(one.runs for one in ledger.batch.stages if one.name == stage.name)
    replaced = {one.was for one in changed}
    listed = replaced.intersection(ledger.command_part(run.cmd, run.after) for run in runs)
    if left := {one.now for one in changed if one.was not in listed} - replaced:
        replaced |= _elsewhere(ledger, stage, runs, left)
    return [one.run.name for one in changed if one.was in listed or one.now in replaced]


def _elsewhere(ledger: Ledger, stage: Stage, runs: Sequence[Run], wanted: Set[str]) -> Set[str]:
    """Return commands, some of these among them, whose outcomes lie where the ledger has not looked and they are no longer."""
    beyond: Iterable[int] = range(len(runs), len(runs) + sum(_AT_ONCE))
    if len(stage.runs) < len(runs):  # some were chosen
        chosen = {run.position for run in stage.runs}
        beyond = chain((n for n in range(min(chosen), len(runs)) if n not in chosen), beyond)
    positions, found = iter(beyond), set[str]()
    for size in _AT_ONCE:
        asked = {str(n): n for n in islice(positions, size)}
        records = ledger.scan(asked)
        for name, record in records.items():
            n, was = asked[name], _command(record)
            if n >= len(runs) or was != ledger.command_part(runs[n].cmd, runs[n].after):
                found.add(was)
        if not records or found >= wanted:
            break
    return found
