"""doit's own commands, over runs: `list`, `info`, `clean`, `forget`, `ignore`, `tabcompletion`."""

from __future__ import annotations

from typing import Any

from doit.cmd_clean import Clean as DoitClean
from doit.cmd_completion import TabCompletion as DoitTabCompletion
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList

from pydoit_sc.commands.parsing import OptionsAnywhere

_NAMES = "STAGE | RUN | PATTERN ..."


class ListCommand(OptionsAnywhere, DoitList):  # type: ignore[misc]
    """doit's `list`."""

    name = "list"
    doc_usage = f"[{_NAMES}]"


class InfoCommand(OptionsAnywhere, DoitInfo):  # type: ignore[misc]
    """doit's `info`, with the reason in plain words."""

    name = "info"
    doc_usage = "RUN"
    doc_description = "The exit code is 1 if it would execute."

    @staticmethod
    def get_reasons(reasons: Any) -> str:
        """Return why a task is not up to date: the plan's reason, or doit's own."""
        said = [f" * {check!r}" for check, _, _ in reasons["uptodate_false"] or ()]
        return "\n".join(said) or str(DoitInfo.get_reasons(reasons))


class CleanCommand(OptionsAnywhere, DoitClean):  # type: ignore[misc]
    """doit's `clean`."""

    name = "clean"
    doc_usage = f"[{_NAMES}]"
    doc_description = "Without a name: the outputs of the whole batch, and their history."


class ForgetCommand(OptionsAnywhere, DoitForget):  # type: ignore[misc]
    """doit's `forget`."""

    name = "forget"
    doc_usage = f"{_NAMES}"
    doc_description = "--all for the whole batch."


class IgnoreCommand(OptionsAnywhere, DoitIgnore):  # type: ignore[misc]
    """doit's `ignore`."""

    name = "ignore"
    doc_usage = f"{_NAMES}"


class TabCompletionCommand(OptionsAnywhere, DoitTabCompletion):  # type: ignore[misc]
    """doit's `tabcompletion`."""

    name = "tabcompletion"
