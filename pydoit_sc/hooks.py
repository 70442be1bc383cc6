"""The commands of a batch for the end of its executions, `on_failure` and `on_finish`: each is run once, and only told of.

What they are to say is in their environment, never in their words, which every user of the machine can read.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from pydoit_sc.batch import Batch
from pydoit_sc.ends import signal_name
from pydoit_sc.errors import warn_once
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.utf8 import to_bytes

LIMIT = 60.0  # seconds for each
_LONGEST = 2000  # characters of why it ended so
_INSIDE = "PYDOIT_SC_EXIT_CODE"  # the variable that only these commands have
_STOPPED_BY_USER = 128 + signal.SIGINT


def tell_end(batch: Batch, counts: Counts, code: int, submission: str = "") -> None:
    """Run the commands of a batch for an execution that has ended so, with an exit code.

    None for one that has executed nothing, that its user has interrupted, or that such a command has started: a command
    that repeats what fails would be run without end. One that fails, or takes longer than LIMIT,
    is told on standard error; what it writes goes there, too.
    """
    executed = counts.completed + counts.failed + counts.not_executed
    if not executed or code == _STOPPED_BY_USER or _INSIDE in os.environ:
        return
    env = {
        **os.environb,
        **{to_bytes(k): to_bytes(v) for k, v in variables(batch, counts, code, submission).items()},
    }
    for name, cmd in (("on_failure", batch.on_failure if code else None), ("on_finish", batch.on_finish)):
        if cmd and (fault := _run(cmd, str(batch.folder), env)):
            warn_once(f"{name}: {fault}")


def variables(batch: Batch, counts: Counts, code: int, submission: str) -> Mapping[str, str]:
    """Return the variables that tell of an end.

    >>> from pathlib import Path
    >>> told = variables(Batch("weather", Path("/w/batchfile.toml"), "s3://b/out", ()), Counts(3, 1, 0, 0, 62.4), 1, "")
    >>> told["PYDOIT_SC_BATCH"], told["PYDOIT_SC_FAILED"], told["PYDOIT_SC_EXIT_CODE"], told["PYDOIT_SC_FILE"]
    ('weather', '1', '1', '/w/batchfile.toml')
    """
    told = {
        "BATCH": batch.name,
        "FILE": batch.path,
        "OUTPUT": batch.remote_output_path,
        "SUBMISSION": submission,
        "COMPLETED": counts.completed,
        "FAILED": counts.failed,
        "SKIPPED": counts.skipped,
        "NOT_EXECUTED": counts.not_executed,
        "SECONDS": counts.seconds,
        "EXIT_CODE": code,
        "WHY": "\n".join(counts.why)[:_LONGEST],
    }
    return {f"PYDOIT_SC_{name}": str(value) for name, value in told.items()}


def _run(cmd: str, folder: str, env: Mapping[bytes, bytes]) -> str:
    """Run a command in a folder; return what went wrong, or nothing."""
    sys.stderr.flush()
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", to_bytes(cmd)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
        )
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    try:
        code = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        return f"killed after {LIMIT:g} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f"exit code {code}" if code > 0 else f"killed by {signal_name(-code)}" if code else ""
