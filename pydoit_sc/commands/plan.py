"""`plan`: what would execute, and why, without executing it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydoit_sc.batch import Batch, Stage, Status, failure_budget
from pydoit_sc.changes import details, in_full
from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag, json_option
from pydoit_sc.commands.selecting import NAMES, SELECTING
from pydoit_sc.forecast import Estimate, Forecast, Outlook
from pydoit_sc.ledger import Ledger
from pydoit_sc.plan import Planned, plan
from pydoit_sc.plurals import counted
from pydoit_sc.positions import moved
from pydoit_sc.project import Project
from pydoit_sc.selection import NothingMatchesError, Selection, parse_selection, select_to_execute
from pydoit_sc.show.progress import command_of, moved_words, summary
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project
from pydoit_sc.verdicts import Verdict, count

SHOWN = 20


class PlanCommand(Command):
    """Show what `run` would execute."""

    name = "plan"
    doc_usage = NAMES
    doc_description = (
        "Counts by reason, then the runs; nothing is executed. With names: these and all that they come after, as `run` "
        "with the same names executes them; with --slowest the slowest are listed first, and `run` keeps the order of the "
        "batch.\n"
        "\n"
        "Exit code: 0; with --check 1 if anything would execute."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        flag("everything", f"list every run that would execute, not the first {SHOWN}", long="all"),
        json_option(
            "runs and to_execute, which are numbers, moved, a list of names, max_failures, `expected`, which is null or has "
            "seconds, slot_hours, past_durations and too_long, and `execute`, a list of all runs that would, with name, "
            "status, reason, cmd"
        ),
        flag("check", "exit with 1 if anything would execute, for CI"),
        flag("always", "as `run -a`: up-to-date runs too", short="a", long="always-execute"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the plan and return the exit code."""
        project = open_project(options)
        batch = project.batch
        selection = parse_selection(options, words)
        project.needs_verdicts_only = not selection.of_outcomes
        parts = _parts(project, selection, options)
        planned = in_full(
            project.ledger, project.store, plan(project.ledger, parts, always=options["always"])
        )
        shown: list[Planned] = []
        estimate = Estimate(Forecast(project.ledger), _limit(batch))
        whole = options["everything"] or options["as_json"]
        most = None if whole or selection.slowest else SHOWN

        def seen(item: Planned) -> Verdict:
            if item.verdict.execute:
                estimate.add(item.stage, item.run)
            if item.verdict.execute and (most is None or len(shown) < most):
                shown.append(item)
            return item.verdict

        verdicts = count(map(seen, planned), sum(len(part.runs) for part in parts))
        if selection.slowest:
            shown = _slowest_first(project.ledger, shown)[: None if whole else SHOWN]
        execute = sum(number for verdict, number in verdicts.items() if verdict.execute)
        strange = moved(project.ledger, parts)
        budget = _budget(batch, execute)
        if options["as_json"]:
            _print_json(verdicts, strange, budget, shown, _expected(estimate, batch))
            return int(options["check"] and bool(execute))
        print(summary(verdicts))
        if strange:
            print(f"warning: {moved_words(strange)}, or `run` and `submit` stop unless --moved is given")
        _print_runs(project, shown, in_full=bool(selection))
        if execute > len(shown):
            print(f"  and {execute - len(shown):,} more; --all lists them")
        expected = _expected(estimate, batch)
        for line in expected.lines if expected else ():
            print(line)
        if budget is not None:
            print(f"stops after {counted(budget, 'failure')} (`max_failures`)")
        return int(options["check"] and bool(execute))


def _parts(project: Project, selection: Selection, options: dict[str, Any]) -> Sequence[Stage]:
    """Return the selected runs as stages; for a program none where nothing matches, which is said on standard error."""
    try:
        return select_to_execute(project, selection, always=options["always"])
    except NothingMatchesError as answer:
        if not options["as_json"]:
            raise
        print(answer, file=sys.stderr)
        return ()


def _slowest_first(ledger: Ledger, shown: Sequence[Planned]) -> list[Planned]:
    """Return runs by how long they took last; those of which it is not known, which some come after, are the last."""

    def seconds(item: Planned) -> float:
        record = ledger.record(item.run)
        return record.seconds if record else 0.0

    return sorted(shown, key=seconds, reverse=True)


def _budget(batch: Batch, execute: int) -> int | None:
    """Return after how many failures no further run starts; None where of so many runs to execute none would be left then."""
    budget = failure_budget(batch.max_failures, batch.size)
    return budget if budget is not None and budget < execute else None


def _limit(batch: Batch) -> float | None:
    """Return for how many seconds a job of the engine that is meant executes runs, if there is a limit."""
    if not batch.tables:
        return None
    from pydoit_sc.engines.expect import engine_meant, limit_of  # noqa: PLC0415 (engines are slow to import)

    return limit_of(engine_meant(batch), batch)


def _expected(estimate: Estimate, batch: Batch) -> Outlook | None:
    """Return what the runs will take, on the engine that the batchfile has a table for, else here; None if it is not known."""
    if not estimate.is_known:
        return None
    from pydoit_sc.engines.expect import engine_meant, expect  # noqa: PLC0415 (engines are slow to import)

    return expect(estimate, batch, engine_meant(batch))


def _print_runs(project: Project, shown: Sequence[Planned], *, in_full: bool) -> None:
    for item in shown:
        print("", *filter(None, _said(item)), sep="  ")
        if in_full and item.verdict.status is Status.STALE:
            for line in details(project.ledger, project.store, item.run):
                print(f"    {line}")


def _said(item: Planned) -> tuple[str, str]:
    task = item.stage.task_name(item.run)
    return f"{task}  {item.verdict.status}: {item.verdict.words}", command_of(task, item.run.cmd)


def _print_json(
    verdicts: Mapping[Verdict, int],
    strange: Sequence[str],
    budget: int | None,
    shown: Sequence[Planned],
    expected: Outlook | None,
) -> None:
    listed = [
        {
            "name": item.stage.task_name(item.run),
            "status": item.verdict.status.value,
            "reason": item.verdict.words,
            "cmd": item.run.cmd,
        }
        for item in shown
    ]
    figures = {"runs": sum(verdicts.values()), "to_execute": len(listed), "moved": [*strange]}
    told = expected and expected.figures
    print(json.dumps({**figures, "max_failures": budget, "expected": told, "execute": listed}, indent=1))
