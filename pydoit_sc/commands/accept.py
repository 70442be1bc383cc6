"""`accept`: take stale outcomes as current, since what has changed makes no difference to them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Status
from pydoit_sc.changes import in_full
from pydoit_sc.commands.asking import agreed, is_answered
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.commands.selecting import OR_OPTIONS, SELECTING, SOME_NAMES
from pydoit_sc.fingerprint import MissingFileDepError
from pydoit_sc.ledger import Ledger
from pydoit_sc.plan import Planned
from pydoit_sc.plurals import counted
from pydoit_sc.selection import parse_selection, select
from pydoit_sc.store.accepted import write_accepted
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

SHOWN = 20
_NOTHING_DONE = 3  # the exit code


class AcceptCommand(Command):
    """Take stale outcomes as current."""

    name = "accept"
    doc_usage = SOME_NAMES
    doc_description = (
        "For a change that makes no difference, such as a comment in a file of `file_dep`: the outcomes stay, and count as "
        "those of the runs as they are now, on every machine. Only completed outcomes can be accepted. `forget` undoes it, and "
        "so does a further change.\n"
        "\n"
        f"{OR_OPTIONS}\n"
        "\n"
        "Exit code: 0 if all is accepted or nothing is stale, 3 if nothing was done."
    )
    cmd_options = (*BATCH_OPTIONS, *SELECTING, flag("yes", "do not ask", short="y"))

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Show what it takes, ask, and return the exit code."""
        selection = parse_selection(options, words)
        if not selection:
            raise InvalidCommand("accept: name the runs or stages")
        project = open_project(options)
        chosen = select(project, selection)
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
        _show(list(in_full(ledger, project.store, stale)))
        what = "these" if len(stale) > 1 else "this"
        question = f"accept {what} {counted(len(stale), 'outcome')} as current?"
        if not options["yes"] and not is_answered():
            print("ERROR: nothing was accepted; --yes accepts without asking", file=sys.stderr)
            return _NOTHING_DONE
        if not options["yes"] and not agreed(question):
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
