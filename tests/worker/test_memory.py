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
import pytest

from pydoit_sc.batch import Run, Settings
from pydoit_sc.store import open_store
from pydoit_sc.plan import Work
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits

root, count = sys.argv[1], int(sys.argv[2])
settings = Settings(timeout=100_000.0)
jobs = (Work(str(n), Run(str(n), "true", str(n), settings), f"{root}/{n}", "") for n in range(count))
done = sum(result.record.code == 0 for result in Executor(open_store(root, {}, durable=False), Limits(2)).run(jobs))
assert done == count
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def test_memory_does_not_grow_with_the_runs_executed() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        few, many = (
            int(
                subprocess.run(
                    [sys.executable, "-c", SCRIPT, f"{folder}/{count}", str(count)],
                    stdout=subprocess.PIPE,
                    timeout=PATIENCE,
                    check=True,
                ).stdout
            )
            for count in (200, 4000)
        )
    assert many - few < 500  # KiB: an eighth of a KiB for a run
