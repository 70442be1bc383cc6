"""The engine `local`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch
from pydoit_sc.engines.base import EngineError, Handed, State
from pydoit_sc.engines.detach import detach, executes
from pydoit_sc.engines.local import Local
from pydoit_sc.engines.supervisor import ORDERS, Orders
from pydoit_sc.proc import started_at
from tests.conftest import HEAD, Box, Done, until


def test_only_the_supervisor_of_the_submission_is_its_job(tmp_path: Path) -> None:
    """Not whatever has its number later, nor any other process, though a note says so."""
    batch = Batch("b", tmp_path / "batchfile.toml", "file:///out", ())
    os.makedirs(tmp_path / "one")
    os.makedirs(tmp_path / "other")
    begun = tmp_path / "begun"
    orders = Orders([f"touch {begun}; exec sleep 60"], [0], [()], 1, str(tmp_path / "one"))
    (tmp_path / "one" / ORDERS).write_text(json.dumps(asdict(orders)))
    host = socket.gethostname()

    def states(folder: str, *jobs: str) -> list[State]:
        handed = Handed("ID", batch, str(tmp_path / folder), jobs)
        found = Local().poll([handed])
        return [found[job].state for job in jobs]

    pid = detach("pydoit_sc.engines.supervisor", str(tmp_path / "one"), "log")
    try:
        until(begun.exists)
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
    there = f"elsewhere/1/1-{'0' * 8}"
    assert states("other", there) == [State.UNKNOWN]
    with pytest.raises(EngineError, match="processes of elsewhere, and only that machine knows"):
        Local().cancel(Handed("ID", batch, str(tmp_path / "other"), [there]))
    assert states("one", there) == [State.ENDED]  # as the supervisor has said


def test_a_supervisor_is_known_as_soon_as_it_is_started(tmp_path: Path) -> None:
    """Linux lets a parent go on before it can read its child's words."""
    os.mkfifo(tmp_path / ORDERS)  # which nobody writes: it does not end by itself
    for _ in range(10):
        pid = detach("pydoit_sc.engines.supervisor", str(tmp_path), "log")
        known = executes(pid, "pydoit_sc.engines.supervisor", str(tmp_path))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert known


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process another host name")
def test_a_look_from_another_machine_ends_nothing(box: Box) -> None:
    """What only the machine of the submission knows is not written down as ended, unless the user says so."""

    def there(*words: str) -> Done:
        return box.shell(f"unshare --uts sh -c 'hostname other && exec pydoit-sc {' '.join(words)}'")

    box.batchfile(HEAD + '[[runs]]\ncmd = "touch begun; until [ -e go ]; do sleep 0.02; done"\n')
    id_ = box.ok("submit", "--engine", "local").split()[1]
    until((box.folder / "begun").exists)
    host = socket.gethostname()
    why = f"its workers are processes of {host}, and only that machine knows"
    said = there("submissions").out
    assert "1 unknown" in said and f"{id_}: the state of its jobs is not known: {why}\n" in said
    refused = there("cancel")
    batch = shlex.join(["-f", str(box.folder / "batchfile.toml")])
    gone = f"; where that is gone for good, `pydoit-sc cancel --gone {batch} {id_}` marks it as ended"
    assert refused.code == 3 and f"{why}{gone}" in refused.err
    refused = there("submit", "--engine", "local")
    assert f"submission {id_} (local) is under way, as far as can be told ({why}): wait" in refused.err
    assert f"--force`{gone}" in refused.err
    assert "1 running" in box.ok("submissions")
    assert f"cancel: {id_} is not gone: local says of its jobs 1 running" in box("cancel", "--gone").refused()
    assert "takes no runs" in box("cancel", "--gone", id_, "runs:0").refused()
    assert there("cancel", "--gone").out == f"{id_} (local) counts as ended\n"
    assert "no submission of yours is under way" in there("cancel").out
    box.write("go", "")
    until((box.folder / f"out/.pydoit_sc/submissions/{id_}/local.ended").exists)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process another host name")
def test_other_machines_see_that_it_has_ended(box: Box) -> None:
    box.batchfile(HEAD + '[[runs]]\ncmd = "true"\n')
    box.ok("submit", "--engine", "local", "--wait")
    said = box.shell("unshare --uts sh -c 'hostname other && exec pydoit-sc submissions'").out
    assert said.rstrip().endswith("ended"), said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process another host name")
def test_a_submission_whose_runs_have_all_ended_hinders_none_wherever_its_supervisor_is(box: Box) -> None:
    """Also where nobody can know what became of that: it was killed, and its machine has another name now."""

    def there(*words: str) -> Done:
        return box.shell(f"unshare --uts sh -c 'hostname other && exec pydoit-sc {' '.join(words)}'")

    def lost(text: str) -> None:
        box.batchfile(HEAD + text)
        id_ = box.ok("submit", "--engine", "local").split()[1]
        ended = box.folder / f"out/.pydoit_sc/submissions/{id_}/local.ended"
        until(ended.exists)
        ended.unlink()

    lost('[[runs]]\nname = "a"\ncmd = "true"\n[[runs]]\nname = "b"\ncmd = "false"\n')
    said = there("submissions").out
    assert "unknown" not in said and said.rstrip().endswith("ended")
    lost('[[runs]]\nname = "a"\ncmd = "echo"\n')
    box.batchfile(HEAD + '[[runs]]\nname = "a"\ncmd = "echo again"\n')
    assert "submitted" in there("submit", "--engine", "local", "--wait").out


STOPPED = """
import os, signal, sys
from pydoit_sc.engines.supervisor import Orders, Supervisor

supervisor = Supervisor(Orders(["exit 0"], [0], [()], 1, sys.argv[1]))
supervisor._fill()
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
supervisor.stop(signal.SIGTERM, None)
sys.exit(supervisor.run())
"""


def test_a_stop_finds_a_worker_that_has_just_ended(tmp_path: Path) -> None:
    """Its supervisor has not looked yet, and is neither hindered nor surprised by it."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
    assert done.stdout == "chunk 0 ended with 0\n"


def test_why_workers_execute_nothing_is_found(box: Box) -> None:
    box.batchfile(HEAD + 'min_free_memory = "900 TB"\n[[runs]]\ncmd = "true"\n')
    done = box("submit", "--engine", "local", "--wait")
    assert (done.code, "the job has ended, and 1 of its runs have not" in done.err) == (2, True)
    (shows,) = (line for line in done.out.splitlines() if line.startswith("what the workers write:"))
    assert "900 TB" in box.shell(shows.partition(":")[2]).out
