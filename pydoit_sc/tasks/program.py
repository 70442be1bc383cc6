"""doit's main program with our commands in place of its own."""

from __future__ import annotations

import os
import sys
from configparser import Error as ConfigError
from getopt import GetoptError, getopt
from typing import Any

import doit.plugin
from doit.cmdparse import CmdOption, CmdParse, CmdParseError
from doit.doit_cmd import DoitConfig, DoitMain
from doit.plugin import PluginDict, PluginEntry

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.errors import UserError
from pydoit_sc.files import check_here
from pydoit_sc.tasks.loader import BATCH_OPTIONS, BatchfileLoader
from pydoit_sc.tasks.plugins import entry_points

_CONFIGURATION = ("pyproject.toml", "doit.cfg")  # of doit, in this folder
#: What doit raises for a file that it cannot read; the last two where it expects a table.
_UNREADABLE = (OSError, ValueError, ConfigError, AttributeError, AssertionError)
#: `--to` means the outputs when it stands before the command; after some commands it means the file to write.
_LONG = {"--to": "--remote-output-path"}


class Program(DoitMain):  # type: ignore[misc]
    """doit, with the commands of our list; each is imported when it is used."""

    BIN_NAME = "pydoit-sc"

    def __init__(self) -> None:
        super().__init__(BatchfileLoader(), config_filenames=())

    def run(self, all_args: list[str]) -> Any:
        """Run a command with what the configuration files say; raises UserError for these, CmdParseError."""
        self.config.update(_configuration())
        return super().run(_command_first(all_args))

    def get_cmds(self) -> PluginDict:
        """Return the commands by name."""
        commands = PluginDict()
        for name, entry in COMMANDS.items():
            commands[name] = PluginEntry("COMMAND", name, entry.location)
        return commands

    def process_args(self, cmd_args: list[str]) -> list[str]:
        """Return all words; raises CmdParseError for one that is empty.

        doit would take `name=value` for a variable. No task of ours has any, and `run model=a` would execute all runs.
        """
        if "" in cmd_args:
            raise CmdParseError("an empty word on the command line; is a variable of the shell unset?")
        return cmd_args


def _command_first(words: list[str]) -> list[str]:
    """Return the words with the options of the batch behind the command, if some are before it: where its parser reads them.

    doit reads them by a parser of its own, of which several values are one, and lets them replace those behind the command.
    """
    parser = CmdParse([CmdOption(one) for one in BATCH_OPTIONS])
    try:
        options, rest = getopt(words, parser.get_short(), parser.get_long())
    except GetoptError:
        return words
    if not options:
        return words
    command = [rest.pop(0) if rest and rest[0] in COMMANDS else "run"]
    before = [word for name, value in options for word in (_LONG.get(name, name), value)]
    return [*command, *before, *rest]


def _configuration() -> dict[str, dict[str, Any]]:
    """Return what doit's configuration files say, by section; raises UserError for one that doit cannot read."""
    found = DoitConfig()
    for name in filter(os.path.exists, _CONFIGURATION):
        try:
            found.loads([name])
        except _UNREADABLE as error:
            raise UserError(f"{name}: not a configuration of doit: {' '.join(str(error).split())}") from error
    return dict(found.as_dict())


def run_program(words: list[str]) -> int:
    """Run the program and return its exit code."""
    doit.plugin.entry_points_impl = lambda: entry_points
    try:
        check_here()
        return int(Program().run(words) or 0)
    except (CmdParseError, UserError) as error:  # before doit looks for errors
        sys.stderr.write(f"ERROR: {error}\n")
        return 3
