"""The engine `local`."""

from __future__ import annotations

import os

from pydoit_sc.engines.base import State
from pydoit_sc.engines.local import Local
from pydoit_sc.proc import started_at


def test_a_process_id_that_is_used_again() -> None:
    """A job of the engine `local` is a process of one start, not whatever has its number later."""
    host, mine = os.uname().nodename, f"{os.getpid()}"
    assert [job.state for job in Local().poll([f"{host}/{mine}/{started_at(os.getpid())}"]).values()] == [
        State.RUNNING
    ]
    assert [job.state for job in Local().poll([f"{host}/{mine}/123-abc"]).values()] == [State.ENDED]
