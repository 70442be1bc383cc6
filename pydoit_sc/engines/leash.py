"""Become another program that gets SIGTERM when the process that started it ends, however that dies.

    python -m pydoit_sc.engines.leash PARENT PROGRAM [ARGUMENT…]

It is a program of its own because the alternative, code between fork and exec, may hang in a process with threads.
"""

from __future__ import annotations

import os
import signal
import sys

from pydoit_sc.linux import end_with_parent


def on_leash(*program: str) -> list[str]:
    """Return the words that start a program so, as a child of this process."""
    return [sys.executable, "-m", "pydoit_sc.engines.leash", str(os.getpid()), *program]


def main() -> None:
    """Execute the program, unless the parent has ended already."""
    parent, *command = sys.argv[1:]
    end_with_parent(signal.SIGTERM)
    if os.getppid() == int(parent):
        os.execvp(command[0], command)


if __name__ == "__main__":
    main()
