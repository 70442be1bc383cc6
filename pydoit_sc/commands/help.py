"""`help COMMAND`: how a command is used; `help RUN`: what doit says of a task."""

from __future__ import annotations

from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_help import Help as DoitHelp
from doit.exceptions import InvalidCommand, InvalidDodoFile

from pydoit_sc.batchfile import nearest
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.commands.parsing import OptionsAnywhere


class HelpCommand(OptionsAnywhere, DoitHelp):  # type: ignore[misc]
    """doit's help, with our texts on commands."""

    name = "help"
    doc_usage = "[COMMAND | STAGE | RUN]"
    first_is_batch = False

    def __init__(self, cmds: Any = None, **kwargs: Any) -> None:
        DoitCmdBase.__init__(self, cmds=cmds, **kwargs)  # doit's would load every command
        self._commands, self._kwargs = cmds, kwargs

    def execute(self, params: Any, args: list[str]) -> int:
        """Print the help on a command, or on a task."""
        if len(args) > 1:
            raise InvalidCommand(f"help: expected one command, found {' '.join(args)}")
        word = args[0] if args else "help"
        if word in COMMANDS:
            command = self._commands.get_plugin(word)(cmds=self._commands, **self._kwargs)
            print(command.help())
            return 0
        try:
            return int(not DoitCmdBase.execute(self, params, args))
        except InvalidDodoFile:
            if ":" in word or (near := nearest(word.lower(), COMMANDS)) is None:
                raise
            raise InvalidCommand(f"help: no command is named `{word}`; did you mean `{near}`?") from None
