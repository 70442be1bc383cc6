"""Put off Ctrl-C and the signals that end this program, while jobs are started that no note has yet."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_PYTHONS = (signal.SIG_DFL, signal.default_int_handler)  # what others have set stays theirs

_heard: list[int] = []  # signals are of the whole process


@contextmanager
def stopped_later() -> Iterator[None]:
    """Heed these signals after the body: Ctrl-C then raises KeyboardInterrupt, the others end this process."""
    before = {number: signal.getsignal(number) for number in _STOPS}
    before = {number: handler for number, handler in before.items() if handler in _PYTHONS}
    if threading.current_thread() is not threading.main_thread():
        before = {}  # only that one may set handlers
    for number in before:
        signal.signal(number, lambda stop, _: _heard.append(stop))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before and _heard:
            first = _heard[0]
            _heard.clear()
            signal.raise_signal(first)


def heed_stops() -> None:
    """Raise KeyboardInterrupt if a signal was put off: for waits without a limit, whose end loses no job."""
    if _heard and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
