"""Threads beside the event loop of a worker."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Callable


def aside(work: Callable[[], None], name: str | None = None) -> threading.Thread:
    """Have something done by a thread that dies with the process, and return it; raises OSError where none can be started.

    Signals are the event loop's: one that the thread takes would only wake both.
    """

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        work()

    thread = threading.Thread(target=begin, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "cannot start a thread") from error
    return thread
