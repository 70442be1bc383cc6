"""doit's main program with our commands in place of its own."""

from __future__ import annotations

from doit.doit_cmd import DoitMain
from doit.plugin import PluginDict, PluginEntry

from pydoit_sc.commands import COMMANDS
from pydoit_sc.tasks.loader import BatchfileLoader


class Program(DoitMain):  # type: ignore[misc]
    """doit, with the commands of our list; each is imported when it is used."""

    BIN_NAME = "pydoit-sc"

    def get_cmds(self) -> PluginDict:
        """Return the commands by name."""
        commands = PluginDict()
        for name, entry in COMMANDS.items():
            commands[name] = PluginEntry("COMMAND", name, entry.location)
        return commands


def run_program(words: list[str]) -> int:
    """Run the program and return its exit code."""
    return int(Program(BatchfileLoader()).run(words) or 0)
