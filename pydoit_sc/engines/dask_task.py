"""What a Dask worker executes: a chunk, by a pydoit-sc worker in a process of its own.

Only the exit code goes through Dask. The process ends with its Dask worker, however that dies, and when Dask takes
the chunk back (it was cancelled, or the Dask worker is to end).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from pydoit_sc.engines.leash import on_leash
from pydoit_sc.utf8 import to_bytes
from pydoit_sc.worker.allocation import OUT_OF_TIME

LOOK = 0.5  # seconds between two looks at whether Dask still wants the chunk
PAUSE = 5.0  # seconds before a chunk is given back
TRIES = 4
#: After these exit codes another try is worth it: the worker was killed or stopped from outside.
_AGAIN = {*range(-64, 0), *range(129, 193)}

_living: set[int] = set()


def execute(script: str, key: str, before: Sequence[int | None]) -> int:  # noqa: ARG001 (what Dask waits for first)
    """Execute a chunk's lines of shell and return their exit code; called by Dask.

    A further try comes from here, not from Dask's `retries`: after the last one Dask would give up, unexecuted, all
    that waits for this chunk.
    """
    code = 0
    for attempt in range(TRIES):
        if attempt:
            print(f"pydoit-sc: {key} ended with {code}, starting it again", file=sys.stderr)
            time.sleep(attempt)
        code = _run(script, lambda: _wanted(key))
        if code not in _AGAIN or not _wanted(key):
            break
    if code == OUT_OF_TIME:
        _leave_to_another(key)
    return code


def _leave_to_another(key: str) -> None:
    """Give a chunk back to Dask, on a machine whose time is too short for it; slowly, as it may come back at once."""
    from distributed import Reschedule  # noqa: PLC0415 (only where Dask executes this)

    end = time.monotonic() + PAUSE
    while time.monotonic() < end and _wanted(key):
        time.sleep(LOOK)
    raise Reschedule


def gate(before: Sequence[int | None]) -> None:
    """Do nothing, after something; called by Dask."""


def busy() -> int:
    """Return how many chunks this process executes."""
    return len(_living)


def _run(script: str, wanted: Callable[[], bool]) -> int:
    with subprocess.Popen(
        [*on_leash("sh", "-c"), to_bytes(script), sys.executable], stdin=subprocess.DEVNULL
    ) as process:
        _living.add(process.pid)
        try:
            while True:
                try:
                    return process.wait(LOOK)
                except subprocess.TimeoutExpired:
                    if not wanted():
                        process.terminate()
                        return process.wait()
        finally:
            _living.discard(process.pid)


def _wanted(key: str) -> bool:
    """Return whether Dask still waits for a task; Dask does not tell the thread itself."""
    from distributed import Status, get_worker  # noqa: PLC0415 (only where Dask executes this)

    worker = get_worker()
    task = worker.state.tasks.get(key)
    return worker.status in (Status.running, Status.paused) and task is not None and task.state != "cancelled"
