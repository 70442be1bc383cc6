"""doit's main program with our commands in place of its own."""

from __future__ import annotations

import re
import sys

import doit.plugin
from doit.cmdparse import CmdParseError
from doit.doit_cmd import DoitMain
from doit.plugin import PluginDict, PluginEntry

from pydoit_sc.catalogue import COMMANDS, LITERAL
from pydoit_sc.tasks.loader import BatchfileLoader
from pydoit_sc.tasks.plugins import entry_points

_VARIABLE = re.compile(r"[A-Za-z_]\w*=")  # and not `s3://bucket/day=1`


class Program(DoitMain):  # type: ignore[misc]
    """doit, with the commands of our list; each is imported when it is used."""

    BIN_NAME = "pydoit-sc"

    def get_cmds(self) -> PluginDict:
        """Return the commands by name."""
        commands = PluginDict()
        for name, entry in COMMANDS.items():
            commands[name] = PluginEntry("COMMAND", name, entry.location)
        return commands

    def process_args(self, cmd_args: list[str]) -> list[str]:
        """Take `name=value` from the words, as doit does, but not behind `--where`; raises CmdParseError for one that is empty."""
        if "" in cmd_args:
            raise CmdParseError("an empty word on the command line; is a variable of the shell unset?")
        if cmd_args and cmd_args[0] in LITERAL:
            return cmd_args
        words: list[str] = []
        for word in cmd_args:
            if words and words[-1] == "--where":  # `--where model=a` is no variable
                words[-1] += f"={word}"
            else:
                words.append(word)
        super().process_args([word for word in words if _VARIABLE.match(word)])
        return [word for word in words if not _VARIABLE.match(word)]


def run_program(words: list[str]) -> int:
    """Run the program and return its exit code."""
    doit.plugin.entry_points_impl = lambda: entry_points
    try:
        return int(Program(BatchfileLoader()).run(words) or 0)
    except (
        CmdParseError
    ) as error:  # before doit looks for errors: in doit.cfg or pyproject.toml, an empty word
        sys.stderr.write(f"ERROR: {error}\n")
        return 3
