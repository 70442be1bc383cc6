"""`accept`: take stale outcomes as current, since what has changed makes no difference to them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Status
from pydoit_sc.changes import in_full
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.fingerprint import MissingFileDepError
from pydoit_sc.plan import Ledger, Planned
from pydoit_sc.store.accepted import write_accepted
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

SHOWN = 20
_NOTHING_DONE = 3  # the exit code


class AcceptCommand(Command):
    """Take stale outcomes as current."""

    name = "accept"
    doc_usage = "[BATCH] STAGE | RUN | PATTERN ..."
    doc_description = (
        "For a change that makes no difference, such as a comment in a file of `file_dep`: the outcomes stay, and count as "
        "those of the runs as they are now, on every machine. Only completed outcomes can be accepted. `forget` undoes it, and "
        "so does a further change.\n"
        "\n"
        "Exit code: 0 if all is accepted or nothing is stale, 3 if nothing was done."
    )
    cmd_options = (*BATCH_OPTIONS, flag("yes", "do not ask", short="y"))

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Show what it takes, ask, and return the exit code."""
        if not words:
            raise InvalidCommand("accept: name the runs or stages")
        project = open_project(options)
        chosen = project.select(words)
        project.narrow(chosen)
        ledger = project.ledger
        planned = [Planned(stage, run, ledger.verdict(stage, run)) for stage, run in chosen]
        stale = [item for item in planned if _can_be_accepted(ledger, item)]
        left = Counter(item.verdict.status for item in planned if item.verdict.status is not Status.COMPLETED)
        left[Status.STALE] -= len(stale)
        for status, count in (+left).items():
            print(f"{count:,} {status}: cannot be accepted")
        if not stale:
            print("no outcome to accept")
            return 0
        _show(in_full(ledger, project.store, stale))
        if not options["yes"] and not _asked(len(stale)):
            return _NOTHING_DONE
        write_accepted(
            project.store,
            {ledger.records[item.run.key].attempt: ledger.fingerprint(item.run) for item in stale},
        )
        print(f"{len(stale):,} accepted")
        return 0


def _can_be_accepted(ledger: Ledger, item: Planned) -> bool:
    """Return whether a run has a completed outcome of a worker of ours, and all files of its `file_dep`."""
    record = ledger.records.get(item.run.key)
    if item.verdict.status is not Status.STALE or record is None or record.code or not record.attempt:
        return False
    try:
        ledger.fingerprint(item.run)
    except MissingFileDepError:
        return False
    return True


def _show(stale: Sequence[Planned]) -> None:
    for item in stale[:SHOWN]:
        print(f"  {item.stage.task_name(item.run)}  {item.verdict.words}")
    if len(stale) > SHOWN:
        print(f"  and {len(stale) - SHOWN:,} more")


def _asked(count: int) -> bool:
    """Ask on a terminal; elsewhere nobody answers."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("ERROR: nothing was accepted; --yes accepts without asking", file=sys.stderr)
        return False
    print(
        f"accept {'these' if count > 1 else 'this'} {count:,} outcome{'s' * (count > 1)} as current? [y/N] ",
        end="",
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")
