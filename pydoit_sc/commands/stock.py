"""doit's own commands, over runs: `list`, `info`, `clean`, `forget`, `ignore`, `tabcompletion`."""

from __future__ import annotations

import sys
from typing import Any

from doit.cmd_clean import Clean as DoitClean
from doit.cmd_completion import TabCompletion as DoitTabCompletion
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList
from doit.exceptions import InvalidDodoFile

from pydoit_sc.commands.parsing import OptionsAnywhere
from pydoit_sc.store import TakenError

_NAMES = "STAGE | RUN | PATTERN ..."


class ListCommand(OptionsAnywhere, DoitList):  # type: ignore[misc]
    """doit's `list`."""

    name = "list"
    doc_usage = f"[BATCH] [{_NAMES}]"


class InfoCommand(OptionsAnywhere, DoitInfo):  # type: ignore[misc]
    """doit's `info`, with the reason in plain words."""

    name = "info"
    doc_usage = "[BATCH] RUN"
    doc_description = "The exit code is 1 if it would execute."

    @staticmethod
    def get_reasons(reasons: Any) -> str:
        """Return why a task is not up to date: the plan's reason, or doit's own."""
        said = [f" * {check!r}" for check, _, _ in reasons["uptodate_false"] or ()]
        return "\n".join(said) or str(DoitInfo.get_reasons(reasons))


class CleanCommand(OptionsAnywhere, DoitClean):  # type: ignore[misc]
    """doit's `clean`."""

    name = "clean"
    doc_usage = f"[BATCH] [{_NAMES}]"
    doc_description = (
        "The history of the runs goes, too. --clean-all for the whole batch.\n"
        "\n"
        "What lies in a run's place and is no run's output is left as it is; the exit code is then 2."
    )

    def _execute(
        self, dryrun: bool, cleandep: bool, cleanall: bool, cleanforget: bool, pos_args: Any = None
    ) -> int:
        """Clean; return the exit code. doit fills the parameters by their names."""
        self._left = 0
        super()._execute(dryrun, cleandep, cleanall, cleanforget, pos_args)
        return 2 if self._left else 0

    def clean_tasks(self, tasks: Any, dryrun: bool, cleanforget: bool) -> None:
        """Clean each task; go on after one whose place something else takes."""
        for task in tasks:
            try:
                super().clean_tasks([task], dryrun, cleanforget)
            except InvalidDodoFile as error:
                if not isinstance(error.__cause__, TakenError):
                    raise
                sys.stderr.write(f"ERROR: {task.name}: {error}\n")
                self._left += 1


class ForgetCommand(OptionsAnywhere, DoitForget):  # type: ignore[misc]
    """doit's `forget`."""

    name = "forget"
    doc_usage = f"[BATCH] {_NAMES}"
    doc_description = "--all for the whole batch."


class IgnoreCommand(OptionsAnywhere, DoitIgnore):  # type: ignore[misc]
    """doit's `ignore`."""

    name = "ignore"
    doc_usage = f"[BATCH] {_NAMES}"
    doc_description = "Nothing executes or submits them until `forget`. A stage that comes after them does not wait for them."


class TabCompletionCommand(OptionsAnywhere, DoitTabCompletion):  # type: ignore[misc]
    """doit's `tabcompletion`."""

    name = "tabcompletion"
