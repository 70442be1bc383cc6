"""The shells that execute commands: sh, or the one that a batchfile names."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence

from pydoit_sc.errors import UserError

#: Shells in which a value that is quoted as for sh is one word. Not zsh, which takes an unquoted `=ls` for a path.
LIKE_SH = ("sh", "bash", "dash", "ash", "ksh", "mksh")

_SH = ("/bin/sh", "-c", "--")
# It finds the shell in the run's own PATH, and tells of one that is not there as shells do: status code 127, or 126.
_LAUNCHER = ("/bin/sh", "-c", 'exec "$@"', "shell")
_COMMAND_OPTION = re.compile(r"-[A-Za-z]*c")


def is_like_sh(shell: Sequence[str]) -> bool:
    """Return whether a value in a command may be quoted as for sh; `shell` is empty for sh itself.

    >>> is_like_sh(("/usr/bin/bash", "-euo", "pipefail", "-c")), is_like_sh(("python", "-c"))
    (True, False)
    """
    return not shell or (
        os.path.basename(shell[0]) in LIKE_SH and _COMMAND_OPTION.fullmatch(shell[-1]) is not None
    )


def command_line(shell: Sequence[str], cmd: str) -> tuple[str, ...]:
    """Return the words of the process that executes a command; the first is the path of a program.

    >>> command_line((), "make")
    ('/bin/sh', '-c', '--', 'make')
    """
    if not shell:
        return (*_SH, cmd)
    return (*_LAUNCHER, *shell, *(("--",) if is_like_sh(shell) else ()), cmd)


def check_shell(task: str, shell: Sequence[str], env: Mapping[str, str]) -> None:
    """Raise UserError where the shell of a task is not there; `env` is what the batchfile adds to the environment."""
    if shell and shutil.which(shell[0], path=env.get("PATH", os.environ.get("PATH"))) is None:
        place = "no such program" if "/" in shell[0] else "it is in no folder of PATH"
        raise UserError(
            f"{task}: its shell `{shell[0]}` is not there, {place}; install it, or give another `shell`"
        )
