"""How a run has failed, in words: for its `run.json`, and for everything that shows it."""

from __future__ import annotations

import signal

from pydoit_sc.errors import printable
from pydoit_sc.sizes import show_size

_TIMED_OUT, _USED = "timed out after ", "used more than "
#: How the reasons begin whose numbers are settings; those of others are measured.
OF_SETTINGS = (_TIMED_OUT, _USED)

_LONGEST = 300  # characters of a reason that are shown: `run.json` may have been written by anybody
_SHELLS = {126: "command cannot be executed", 127: "command not found"}  # what a shell means with its codes
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def reason(
    *,
    timeout: float | None = None,
    memory: int | None = None,
    killed_by: int = 0,
    for_memory: bool = False,
    peak: str = "",
) -> str:
    """Return why a run ended otherwise than by an exit code of its own; "" where it did not.

    `timeout`: the seconds that it had, and that it was stopped for; `memory`: the bytes that it was allowed, and was
    killed for; `killed_by`: the signal that its shell died of; `for_memory`: the kernel has killed one of its processes
    for want of memory; `peak`: how much memory it had, as `peak_of` says.

    >>> reason(timeout=5400, killed_by=15), reason(killed_by=9), reason(killed_by=9, for_memory=True)
    ('timed out after 90 min', 'killed by SIGKILL', 'killed by SIGKILL, out of memory')
    >>> reason(memory=4_000_000_000, killed_by=9), reason(killed_by=9, peak=peak_of(15_900_000_000, 16_000_000_000))
    ('used more than 4 GB of memory', 'killed by SIGKILL (peak 15.9 GB of 16 GB of memory)')
    """
    if memory is not None:
        return f"{_USED}{show_size(memory)} of memory"
    if timeout is not None:
        return f"{_TIMED_OUT}{_length(timeout)}"
    want = (", out of memory" if for_memory else "") + peak
    if killed_by:
        return f"killed by {signal_name(killed_by)}{want}"
    return f"one of its processes was killed by SIGKILL{want}" if for_memory else ""


def peak_of(peak: int, total: float) -> str:
    """Return how much of the memory a process had that was killed; "" where it had less than half: that was not the cause."""
    return f" (peak {show_size(peak)} of {show_size(round(total))} of memory)" if peak > total / 2 else ""


def told(code: int | None, reason: str = "") -> str:
    """Return how a failed run is told of: by its reason, else by its status code.

    >>> told(143, "timed out after 1 s"), told(7), told(137)
    ('timed out after 1 s', 'status code 7', 'status code 137 (128 + SIGKILL)')
    """
    if reason:
        return printable(reason[:_LONGEST]).replace("\n", " ")
    return "no status code" if code is None else f"status code {_with_signal(code)}"


def briefly(code: int | None, reason: str = "") -> str:
    """Return how a failed run ended, in the few words that a table has room for.

    >>> briefly(143, "timed out after 1 s"), briefly(7), briefly(137), briefly(127)
    ('timed out after 1 s', 'exit 7', 'exit 137 (128 + SIGKILL)', 'command not found (127)')
    """
    if reason or code is None:
        return told(code, reason)
    return f"{_SHELLS[code]} ({code})" if code in _SHELLS else f"exit {_with_signal(code)}"


def signal_name(number: int) -> str:
    """Return the name of a signal.

    >>> signal_name(9), signal_name(40)
    ('SIGKILL', 'signal 40')
    """
    try:
        return signal.Signals(number).name
    except ValueError:  # of a real-time signal, or none
        return f"signal {number}"


def _with_signal(code: int) -> str:
    name = signal_name(code - 128) if code > 128 else ""
    return f"{code} (128 + {name})" if name.startswith("SIG") else str(code)


def _length(seconds: float) -> str:
    for unit, name in _UNITS:
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
