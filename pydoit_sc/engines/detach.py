"""Start a program that outlives this one, in a session of its own with a log, and know it again."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time

from pydoit_sc.engines.base import EngineError
from pydoit_sc.proc import started_at

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)  # reset to their defaults


def detach(module: str, folder: str, log: str) -> int:
    """Start `python -m MODULE FOLDER` and return its process id; raises EngineError."""
    words = [sys.executable, "-X", "utf8", "-m", module, folder]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.path.join(folder, log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        pid = os.posix_spawn(
            words[0], words, os.environ, file_actions=actions, setsid=True, setsigdef=_SIGNALS
        )
    except OSError as error:
        raise EngineError(f"cannot start {shlex.join(words)}: {error.strerror}") from error
    # Linux lets the parent go on a moment before the new program's words can be read.
    while started_at(pid) and not executes(pid, module, folder):
        time.sleep(0.001)
    return pid


def executes(pid: int, module: str, folder: str) -> bool:
    """Return whether a process of this machine is one that `detach` has started for this module and folder."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            *_, option, name, place, _ = file.read().split(b"\0")
        return (option, name) == (b"-m", module.encode()) and os.path.samefile(place, folder)
    except (OSError, ValueError):
        return False
