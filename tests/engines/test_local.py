"""The engine `local`."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch
from pydoit_sc.engines.base import EngineError, Handed, State
from pydoit_sc.engines.detach import detach, executes
from pydoit_sc.engines.local import Local
from pydoit_sc.engines.supervisor import ORDERS
from pydoit_sc.proc import started_at


def test_only_the_supervisor_of_the_submission_is_its_job(tmp_path: Path) -> None:
    """Not whatever has its number later, nor any other process, though a note says so."""
    batch = Batch("b", tmp_path / "batchfile.toml", "file:///out", ())
    os.makedirs(tmp_path / "one")
    os.makedirs(tmp_path / "other")
    (tmp_path / "one" / ORDERS).write_text(
        json.dumps({"groups": [["touch begun; sleep 60 & wait"]], "scale": 1, "logs": str(tmp_path / "one")})
    )
    host = socket.gethostname()

    def states(folder: str, *jobs: str) -> list[State]:
        handed = Handed("ID", batch, str(tmp_path / folder), jobs)
        found = Local().poll([handed])
        return [found[job].state for job in jobs]

    pid = detach("pydoit_sc.engines.supervisor", str(tmp_path / "one"), "log")
    try:
        job = f"{host}/{pid}/{started_at(pid)}"
        mine = f"{host}/{os.getpid()}/{started_at(os.getpid())}"
        assert states("one", job, f"{host}/{pid}/123-0123abcd", mine) == [
            State.RUNNING,
            State.ENDED,
            State.ENDED,
        ]
        assert states("other", job) == [State.ENDED]
        Local().cancel(Handed("ID", batch, str(tmp_path / "other"), [job, mine]))
        Local().cancel(Handed("ID", batch, str(tmp_path / "one"), [mine, "x", f"{host}/-1/1-00000000"]))
        assert states("one", job) == [State.RUNNING]
        Local().cancel(Handed("ID", batch, str(tmp_path / "one"), [job]))
    finally:
        os.waitpid(pid, 0)
    assert states("one", job) == [State.ENDED]
    with pytest.raises(EngineError, match="processes of elsewhere: cancel them there"):
        Local().cancel(Handed("ID", batch, str(tmp_path / "one"), [f"elsewhere/1/1-{'0' * 8}"]))


def test_a_supervisor_is_known_as_soon_as_it_is_started(tmp_path: Path) -> None:
    """Linux lets a parent go on before it can read its child's words."""
    os.mkfifo(tmp_path / ORDERS)  # which nobody writes: it does not end by itself
    for _ in range(10):
        pid = detach("pydoit_sc.engines.supervisor", str(tmp_path), "log")
        known = executes(pid, "pydoit_sc.engines.supervisor", str(tmp_path))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert known
