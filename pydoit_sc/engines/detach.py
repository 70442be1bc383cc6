"""Start a program that outlives this one: in a session of its own, with a log for what it writes."""

from __future__ import annotations

import os
import shlex
import signal
import sys

from pydoit_sc.engines.base import EngineError

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
        return os.posix_spawn(
            words[0], words, os.environ, file_actions=actions, setsid=True, setsigdef=_SIGNALS
        )
    except OSError as error:
        raise EngineError(f"cannot start {shlex.join(words)}: {error.strerror}") from error
