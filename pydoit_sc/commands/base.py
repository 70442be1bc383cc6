"""What several commands share: options, and the base class of commands that need no doit tasks."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

from doit.cmd_base import Command as DoitCommand
from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Run, Stage
from pydoit_sc.commands.parsing import OptionsAnywhere, flag, option
from pydoit_sc.project import Project
from pydoit_sc.selection import NothingMatchesError
from pydoit_sc.tasks.errors import user_errors

OPT_OWNER = option("owner", "whose it is, as ORG/USER [default: the user of the token]")

OPT_SYNC = option(
    "sync",
    "a folder that every machine gets, at DEST; a relative DEST counts from the recipe's "
    "working_directory; may be given several times",
    metavar="SRC[:DEST]",
    type=list,
    default=[],
)
OPT_BASE_URL = option("file_syncs_base_dir_url", "where folders are staged [default: sfs://ORG/USER/NAME/]")

OPT_ATTEMPT = option("attempt", "of this attempt, as `history` counts them", metavar="N")

OPT_ALWAYS = flag("always", "of a batchfile.toml: completed runs too, which are left out otherwise")


OPT_QUIET = flag("quiet", "show failures only", short="q")

OPT_TIMEOUT = option(
    "timeout", "in place of the batchfile's: how long an attempt may take, such as 90s or 2h", metavar="TIME"
)
OPT_RETRIES = option("retries", "in place of the batchfile's: further attempts after a failure", metavar="N")
OPT_MAX_FAILURES = option(
    "max_failures",
    "in place of the batchfile's: failures after which no further run starts, a number or a share, 100%% for no bound "
    "[default: 20 that are alike, where no run is completed]",
    metavar="N|SHARE",
)

OPT_NO_HOOKS = flag("no_hooks", "without the batchfile's `on_failure` and `on_finish`")
OPT_MOVED = flag("moved", "also runs without a name in whose places the outputs of other commands are")


class Command(OptionsAnywhere, DoitCommand):  # type: ignore[misc]
    """A command of ours: `call` gets the options and the words, and a user's mistakes become messages."""

    def __init__(
        self, config: Any = None, bin_name: str = "pydoit-sc", opt_vals: Any = None, **_: Any
    ) -> None:
        super().__init__(config=config, bin_name=bin_name, opt_vals=opt_vals)

    def execute(self, opt_values: dict[str, Any], pos_args: list[str]) -> int:
        """Run the command; called by doit."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            # A command may have something to clear up.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with user_errors():
            try:
                return self.call(opt_values, pos_args)
            except NothingMatchesError as answer:
                print(answer)
                return 0

    def call(self, options: dict[str, Any], words: list[str], /) -> int:
        """Do what the command is for and return its exit code."""
        raise NotImplementedError

    def one(self, words: Sequence[str], what: str) -> str:
        """Return the one word that the command takes."""
        if len(words) != 1:
            raise self._unexpected(what, words)
        return words[0]

    def one_run(self, project: Project, words: Sequence[str]) -> tuple[Stage, Run]:
        """Return the one run that the command takes."""
        chosen = project.select([self.one(words, "the name of a run")])
        if len(chosen) != 1:
            raise InvalidCommand(f"{self.get_name()}: `{words[0]}` is {len(chosen):,} runs; expected one")
        return chosen[0]

    def each(self, words: Sequence[str], names: str) -> Sequence[str]:
        """Return the words if there is one for each of these names, `TYPE NAME`."""
        if len(words) != len(names.split()):
            raise self._unexpected(names or "no word", words)
        return words

    def _unexpected(self, what: str, words: Sequence[str]) -> InvalidCommand:
        """Return the error of a command that takes other words than these."""
        command, found = self.get_name(), " ".join(words) or "nothing"
        return InvalidCommand(
            f"{command}: expected {what}, found {found}; see `{self.bin_name} help {command}`"
        )
