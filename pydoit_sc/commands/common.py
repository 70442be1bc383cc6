"""What several commands share: options, and the start of a command that needs no doit tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doit.cmd_base import Command as DoitCommand
from doit.exceptions import InvalidCommand

from pydoit_sc.tasks.project import user_errors

OPT_REMOTE = {
    "name": "remote_output_path",
    "long": "remote-output-path",
    "type": str,
    "default": "",
    "help": "where the outputs are, in place of what the file says",
}
OPT_QUIET = {
    "name": "quiet",
    "short": "q",
    "long": "quiet",
    "type": bool,
    "default": False,
    "help": "show failures only",
}


class Command(DoitCommand):  # type: ignore[misc]
    """A command of ours: `call` gets the options and the words, and a user's mistakes become messages."""

    def __init__(
        self, config: Any = None, bin_name: str = "pydoit-sc", opt_vals: Any = None, **_: Any
    ) -> None:
        super().__init__(config=config, bin_name=bin_name, opt_vals=opt_vals)

    def execute(self, opt_values: dict[str, Any], pos_args: list[str]) -> int:
        """Run the command; called by doit."""
        with user_errors():
            return self.call(opt_values, pos_args)

    def call(self, options: dict[str, Any], words: list[str], /) -> int:
        """Do what the command is for and return its exit code."""
        raise NotImplementedError

    def one(self, words: Sequence[str], what: str) -> str:
        """Return the one word that the command takes."""
        if len(words) != 1:
            raise InvalidCommand(f"{self.get_name()}: expected {what}, found {len(words)} words; see `help`")
        return words[0]


def parse_choice(value: str, choices: Sequence[str], option: str) -> str:
    """Return one of the choices, or raise the error that lists them."""
    if value not in choices:
        raise InvalidCommand(f"{option}: expected {' or '.join(choices)}, found `{value}`")
    return value
