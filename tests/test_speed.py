"""The short form of benchmarks/: bounds that a machine with other work holds, and that code made clearly slower does not.

Processor time, not wall time, and no milliseconds: what is compared is measured in turns, a few times, and the least of
each counts.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from contestants import CONTESTANTS, compile_floor
from cost_per_run import Bench, Setting, execute

from tests.conftest import Box
from tests.faults.proxy import Proxy
from tests.s3 import KEYS

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FEW, MANY = 100, 500
ROUNDS = 3


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory: a disk that others use, too, is what a run would cost."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_what_a_run_costs(memory: Path) -> None:
    """Measured 2026-11 on busy machines and quiet ones: 1.4 to 1.7 times the floor, half of xargs."""
    bench = Bench(compile_floor(BENCHMARKS / "floor.c", memory))
    contestants = {each.name: each for each in CONTESTANTS}

    def cost(name: str) -> float:
        few, many = (
            execute(contestants[name], Setting("true", runs, 2), memory, bench) for runs in (FEW, MANY)
        )
        return (many.cpu - few.cpu) / (MANY - FEW)

    names = ["floor", "xargs", "run", "batch"]
    samples = [{name: cost(name) for name in names} for _ in range(ROUNDS)]
    least = {name: min(sample[name] for sample in samples) for name in names}
    for ours in ("run", "batch"):
        assert least[ours] <= 2.0 * least["floor"], samples
        assert least[ours] <= 0.75 * least["xargs"], samples


def test_how_many_requests_a_run_makes(box: Box, s3: str) -> None:
    """Two listings, one read, and the four writes of its files: what more there is does not grow with the runs."""
    runs = 20
    proxy = Proxy(("127.0.0.1", int(s3.rpartition(":")[2])))
    box.env |= {**KEYS, "AWS_ENDPOINT_URL": proxy.url}
    fsspec.filesystem("s3", key="key", secret="secret", endpoint_url=s3, skip_instance_cache=True).mkdir(
        "speed"
    )
    box.batchfile(
        '[batch]\nremote_output_path = "s3://speed/out"\nnprocs = 2\n'
        f'[runs.a]\ncmd = "echo {{x}}"\nmatrix = {{ x = {{ range = [0, {runs}] }} }}\n'
    )
    proxy.arm(root="speed/out/")
    box.ok("run")
    seen = Counter(re.sub(r"\ba/\d+", "RUN", point.label) for point in proxy.seen)
    proxy.close()
    assert seen["PUT RUN/status_code"] == runs, seen
    assert sum(count for label, count in seen.items() if "RUN" in label) <= 7 * runs, seen


def test_the_proxy_before_an_object_store_delays_what_clients_send() -> None:
    """And keeps its order; what the server answers comes at once."""
    words = [sys.executable, str(BENCHMARKS / "latency.py")]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with subprocess.Popen([*words, port, "0.2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as proxy:
            assert proxy.stdin and proxy.stdout
            address = ("127.0.0.1", int(proxy.stdout.readline()))
            with socket.create_connection(address, 30) as client, server.accept()[0] as served:
                begun = time.monotonic()
                client.sendall(b"first ")
                client.sendall(b"second")
                assert served.recv(12, socket.MSG_WAITALL) == b"first second"
                assert time.monotonic() - begun >= 0.2
                served.sendall(b"answer")
                assert client.recv(6, socket.MSG_WAITALL) == b"answer"
            proxy.stdin.close()
