"""What processes find comes back, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from pydoit_sc import forks
from pydoit_sc.errors import UserError
from pydoit_sc.forks import has_threads, in_processes, shares
from tests.worker.workplace import PATIENCE

#: pytest-xdist has a thread; what is forked here touches none of its locks.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def children() -> set[str]:
    """Return the children of this thread; other tests of this process may have servers."""
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def test_what_processes_find_comes_back_in_order() -> None:
    here = os.getpid()
    found = in_processes([partial(lambda n: (n, os.getpid()), n) for n in range(3)])
    assert [n for n, _ in found] == [0, 1, 2]
    assert len({pid for _, pid in found}) == 3
    assert found[-1][1] == here


def test_an_error_is_raised_here() -> None:
    def fail() -> object:
        raise UserError("no")

    def find() -> object:
        return 0

    before = children()
    with pytest.raises(UserError, match="no"):
        in_processes([fail, find])
    with pytest.raises(UserError, match="no"):
        in_processes([find, fail])
    assert children() == before  # none is left behind


def test_the_work_of_a_process_that_is_killed_or_cannot_say_it_is_done_here() -> None:
    here = os.getpid()

    def die_elsewhere() -> object:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    def make() -> object:
        return lambda: None

    assert in_processes([die_elsewhere, die_elsewhere]) == ["done", "done"]
    assert callable(in_processes([make, die_elsewhere])[0])


#: As nobody, who has no other processes: root has no limits.
LIMITED = """
import os, resource, sys
from pydoit_sc.forks import in_processes
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
limit = int(sys.argv[2])
resource.setrlimit(getattr(resource, sys.argv[1]), (limit, limit))
here, before = os.getpid(), os.listdir("/proc/self/fd")
found = in_processes([lambda n=n: (n, os.getpid() == here) for n in range(3)])
assert found == [(0, True), (1, True), (2, True)], found
assert os.listdir("/proc/self/fd") == before
"""


@pytest.mark.parametrize(("limit", "value"), [("RLIMIT_NPROC", 1), ("RLIMIT_NOFILE", 4)])
def test_the_work_of_a_process_that_cannot_be_had_is_done_here(limit: str, value: int) -> None:
    words = [sys.executable, "-c", LIMITED, limit, str(value)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


def test_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(forks, "has_threads", lambda: False)
    assert shares(10, 100) == [slice(0, 10)]
    assert shares(10, 3) == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert len(shares(1_000_000, 1000)) == 4
    monkeypatch.setattr(forks, "has_threads", lambda: True)
    assert shares(10, 3) == [slice(0, 10)]


def test_a_thread_is_seen() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert has_threads()
    stop.set()
    thread.join()
