"""A worker's memory does not grow with the number of runs that it has executed."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from tests.worker.workplace import PATIENCE

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import time
from itertools import count

from pydoit_sc.batch import Run, Settings
from pydoit_sc.store import open_store
from pydoit_sc.ledger import Work
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

def works(settings):
    for n in count():
        if first and done > first[0] + 4000:
            return
        yield Work(str(n), Run(str(n), "true", str(n), settings), f"{root}/{n}", "")

(root,), first, done = sys.argv[1:], [], 0
begun = time.monotonic()
executor = Executor(open_store(root, {}, durable=False), Limits(2))
for result in executor.run(works(Settings(timeout=100_000.0))):
    assert result.record.code == 0
    done += 1
    if not first and time.monotonic() > begun + 3:  # what a worker does each second, it has done
        first = [done, peak()]
print(peak() - first[1])
"""


def test_memory_does_not_grow_with_the_runs_executed() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, folder], stdout=subprocess.PIPE, timeout=PATIENCE, check=True
        )
    assert int(done.stdout) < 500  # KiB: an eighth of a KiB for a run
