"""The program: doit with our loader and our commands, as a visible list."""

from __future__ import annotations

import os
import sys

from doit.cmd_clean import Clean
from doit.cmd_completion import TabCompletion
from doit.cmd_forget import Forget
from doit.cmd_help import Help
from doit.cmd_ignore import Ignore
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.doit_cmd import DoitMain

from pydoit_sc import __version__
from pydoit_sc.commands.batch import Batch
from pydoit_sc.commands.init import Init
from pydoit_sc.commands.logs import Logs
from pydoit_sc.commands.plan import Plan
from pydoit_sc.commands.run import Run
from pydoit_sc.commands.summarize import SummarizeBatch
from pydoit_sc.tasks.loader import BatchfileLoader


class Main(DoitMain):  # type: ignore[misc]
    """The commands of `pydoit-sc`."""

    BIN_NAME = "pydoit-sc"
    DOIT_CMDS = (
        *(Run, Plan, Batch, SummarizeBatch, Logs, Init),
        *(List, Info, Clean, Forget, Ignore, TabCompletion, Help),
    )

    @staticmethod
    def print_version() -> None:
        """Print our version; doit's is its own affair."""
        print(f"pydoit-sc {__version__}")


def main(args: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    try:
        return int(Main(BatchfileLoader()).run(sys.argv[1:] if args is None else args) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output is gone: `pydoit-sc list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
