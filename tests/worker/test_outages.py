"""A store on S3 that cannot be reached for a while: nothing that has been executed is lost, and nothing executed again."""

from __future__ import annotations

import math
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import fsspec
import pytest

from pydoit_sc.store import open_store
from tests.conftest import until
from tests.faults.proxy import Fault, Point, Proxy
from tests.s3 import KEYS
from tests.worker.workplace import QUICK, Workplace, finish

pytestmark = pytest.mark.slow

RUNS = 24


@pytest.fixture
def proxy(place: Workplace, s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy before an S3 server, through which the workers of a workplace reach their store."""
    host, port = s3.removeprefix("http://").split(":")
    (place.folder / "tmp").mkdir()
    place.env |= {**KEYS, "TMPDIR": str(place.folder / "tmp")}
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    fsspec.core.url_to_fs(f"s3://{bucket}", skip_instance_cache=True)[0].mkdir(bucket)
    place.url = f"s3://{bucket}/out"
    place.storage_options = {
        "config_kwargs": {"connect_timeout": 2, "read_timeout": 2, "retries": {"max_attempts": 2}}
    }
    with closing(Proxy((host, int(port)))) as proxy:
        place.env["AWS_ENDPOINT_URL"] = proxy.url
        yield proxy


def codes(place: Workplace, names: list[str]) -> dict[str, int | None]:
    """Return the status codes of what is published."""
    return {key: record.code for key, record in open_store(place.url, {}).scan(names).items()}


def fail_for(place: Workplace, proxy: Proxy, fault: Fault, seconds: float, label: str) -> None:
    """Have a worker meet an outage that begins at a request; all of its runs are published, and executed once."""
    names = [str(n) for n in range(RUNS)]
    chunk = place.chunk({n: f"echo {n} >> $HERE/log; echo {n}" for n in names}, nprocs=4)
    proxy.arm(Point(label, 1), fault, root=f"{place.url.removeprefix('s3://')}/", lasting=seconds)
    said = finish(place.start(chunk), seconds=60.0 + 2 * seconds)
    assert proxy.hits > 0
    assert codes(place, names) == dict.fromkeys(names, 0)
    assert Counter(place.lines("log")) == Counter(names), said


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET], ids=str)
def test_an_outage_of_two_seconds(place: Workplace, proxy: Proxy, fault: Fault) -> None:
    fail_for(place, proxy, fault, 2.0, "PUT 0/stdout")


def test_a_store_that_does_not_come_back(place: Workplace, proxy: Proxy) -> None:
    place.patience = 0.5
    names = ["0", "1", "2"]
    chunk = place.chunk({n: f"echo {n} >> $HERE/log" for n in names}, nprocs=4)
    proxy.arm(Point("PUT 0/stdout", 1), Fault.RESET, root=f"{place.url[5:]}/", lasting=math.inf)
    said = finish(place.start(chunk), 2)
    assert said.count("ERROR: ") == 1
    assert "cannot publish a run: s3://" in said
    proxy.arm()
    finish(place.start(chunk))
    assert codes(place, names) == dict.fromkeys(names, 0)


def test_a_stop_signal_ends_the_patience(place: Workplace, proxy: Proxy) -> None:
    chunk = place.chunk({"0": "echo > $EVENTS", "1": "echo > $EVENTS; exec sleep 60"})
    proxy.arm(Point("PUT 0/stdout", 1), Fault.RESET, root=f"{place.url[5:]}/", lasting=math.inf)
    worker = place.start(chunk)
    place.hear(2)
    until(lambda: proxy.hits > 1)
    worker.send_signal(signal.SIGTERM)
    finish(worker, 128 + signal.SIGTERM, QUICK)


@pytest.mark.parametrize(
    "label", ["PUT 0/run.json", "PUT 3/status_code", "LIST 0/", "PUT .pydoit_sc/leases/WORKER"]
)
@pytest.mark.parametrize("seconds, fault", [(5.0, Fault.SLOW_DOWN), (20.0, Fault.BLACK_HOLE)])
def test_an_outage(place: Workplace, proxy: Proxy, label: str, seconds: float, fault: Fault) -> None:
    fail_for(place, proxy, fault, seconds, label)


def test_an_outage_longer_than_a_lease(place: Workplace, proxy: Proxy) -> None:
    fail_for(place, proxy, Fault.SLOW_DOWN, 70.0, "PUT 0/stdout")
