"""`plan`: what would execute, and why, without executing it."""

from __future__ import annotations

import itertools
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.plan import count, failure_budget, moved, plan
from pydoit_sc.project import Project
from pydoit_sc.show.progress import positions_warning, summary
from pydoit_sc.tasks.loader import OPT_FILE

SHOWN = 20


class PlanCommand(Command):
    """Show what `run` would execute."""

    name = "plan"
    doc_usage = "[STAGE | RUN | PATTERN ...]"
    doc_description = "Counts by reason, then the runs; nothing is executed."
    cmd_options = (
        OPT_FILE,
        flag("everything", f"list every run that would execute, not the first {SHOWN}", long="all"),
        flag("always", "as `run -a`: up-to-date runs too", short="a", long="always-execute"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the plan; the exit code is 0."""
        project = Project.load(options["batchfile"])
        ledger, batch = project.ledger, project.batch
        planned = list(plan(ledger, batch.stages, always=options["always"]))
        if words:
            keys = {run.key for _, run in project.select(words)}
            planned = [item for item in planned if item.run.key in keys]
        print(summary(count(planned)))
        for warning in positions_warning(moved(ledger)):
            print(warning)
        execute = [item for item in planned if item.verdict.execute]
        for item in itertools.islice(execute, None if options["everything"] else SHOWN):
            print(f"  {item.stage.task_name(item.run)}  {item.verdict.status}: {item.verdict.reason}")
        if len(execute) > SHOWN and not options["everything"]:
            print(f"  and {len(execute) - SHOWN:,} more; --all lists them")
        budget = failure_budget(batch.max_failures, batch.size)
        if budget is not None and execute:
            print(f"stops after {budget:,} failure{'s' * (budget > 1)} (`max_failures`)")
        return 0
