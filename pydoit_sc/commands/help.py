"""`help COMMAND`: doit's text on a command, and examples of its use."""

from __future__ import annotations

from typing import Any

from doit.cmd_help import Help as DoitHelp

from pydoit_sc.commands import COMMANDS


class Help(DoitHelp):  # type: ignore[misc]
    """doit's help with examples."""

    def execute(self, params: Any, args: list[str]) -> int:
        """Print the help on a command, or on a task."""
        code = int(super().execute(params, args))
        if len(args) == 1 and args[0] in COMMANDS:
            print("\n\nEXAMPLES")
            print("\n".join(f"    {self.bin_name} {example}" for example in COMMANDS[args[0]].examples))
        return code
