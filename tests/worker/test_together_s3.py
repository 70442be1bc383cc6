"""Several workers at the same runs, on S3: each run is executed once, and a few requests hold many."""

from __future__ import annotations

import os
import uuid
from collections import Counter

import fsspec
import pytest

from pydoit_sc.store import open_store
from tests.conftest import Box, until
from tests.faults.proxy import Proxy
from tests.s3 import KEYS
from tests.worker.workplace import Workplace, finish

pytestmark = pytest.mark.slow

RUNS = 60


@pytest.fixture
def url(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in a bucket of its own."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    fsspec.core.url_to_fs(f"s3://{bucket}", skip_instance_cache=True)[0].mkdir(bucket)
    return f"s3://{bucket}/out"


@pytest.mark.parametrize("other", ["run", "batch .pydoit_sc/commands/0.json"])
def test_run_and_another_one_at_one_batch(box: Box, url: str, s3: str, other: str) -> None:
    """Runs that fail are executed once, too: the other one, which has planned before, takes the failure as it is."""
    box.env |= {**KEYS, "AWS_ENDPOINT_URL": s3}
    box.batchfile(f"""
[batch]
remote_output_path = "{url}"
nprocs = 2
batch_size = {RUNS}

[runs.a]
cmd = "echo {{x}} >> log; case {{x}} in 0|1) until [ -e go ]; do sleep 0.01; done;; *3) echo no {{x}} >&2; exit 1;; esac"
matrix = {{ x = {{ range = [0, {RUNS}] }} }}
""")
    box.ok("run", "split")
    with box.start("run", "-n", "2") as one, box.start(*other.split()) as two:
        log = box.folder / "log"
        until(lambda: log.exists() and len(log.read_text().split()) > 2)
        (box.folder / "go").touch()
        said = [process.communicate(timeout=120)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (1, int(other == "run")), said
    assert sorted(box.executed()) == sorted(map(str, range(RUNS)))
    assert "6 × exit 1  no " in said[0]  # whoever has executed them


def test_four_workers_at_one_chunk(place: Workplace, url: str) -> None:
    place.url = url
    place.env |= {**KEYS, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
    names = [str(n) for n in range(RUNS)]
    chunk = place.chunk({name: f"echo {name} >> $HERE/log; sleep 0.05" for name in names})
    workers = [place.start(chunk) for _ in range(4)]
    for worker in workers:
        finish(worker, 0, 120)
    assert Counter(place.lines("log")) == Counter(names)
    assert {record.code for record in open_store(url, {}).scan(names).values()} == {0}


def test_holds_cost_a_few_requests(place: Workplace, url: str, s3: str) -> None:
    """Beside its publication, a run of a worker that is alone costs a request, of the scan."""
    host, port = s3.removeprefix("http://").split(":")
    proxy = Proxy((host, int(port)))
    place.url = url
    place.env |= {**KEYS, "AWS_ENDPOINT_URL": proxy.url}
    names = [str(n) for n in range(RUNS)]
    proxy.arm(root=f"{url[5:]}/")
    place.work(place.chunk(dict.fromkeys(names, "true"), nprocs=2))
    own = [point.label for point in proxy.seen if ".pydoit_sc/" in point.label]
    assert len(own) < 40, own
    assert len(proxy.seen) == len(own) + 6 * RUNS
    proxy.close()
