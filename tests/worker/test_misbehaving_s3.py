"""Runs that misbehave where the store is S3: what they leave is read again, and names become keys."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pydoit_sc.store import Store, open_store
from tests.s3 import KEYS
from tests.worker.test_misbehaving import ATTACKS, GOOD, R, start
from tests.worker.workplace import PATIENCE, Workplace, finish

pytestmark = pytest.mark.slow
#: Here, too, what cannot be read cannot be kept.
CODES = {name: code for name, (_, code) in ATTACKS.items()} | {"file closed": 125}


@pytest.fixture
def store(place: Workplace, s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store on S3 for the workers of a workplace."""
    (place.folder / "tmp").mkdir()
    place.env["TMPDIR"] = str(place.folder / "tmp")
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(name, value)
        place.env[name] = value
    place.url = f"s3://bucket-{uuid.uuid4().hex[:12]}/out"
    fs, root = fsspec.core.url_to_fs(place.url, skip_instance_cache=True)
    fs.mkdir(root.partition("/")[0])
    yield open_store(place.url, {})


def test_misbehaving_runs_have_outcomes_of_their_own(place: Workplace, store: Store) -> None:
    runs: dict[str, str] = {}
    for name, (cmd, _) in ATTACKS.items():
        runs |= {name.replace("'", ""): cmd, f"after {name}": GOOD}
    finish(start(place, place.chunk(runs, nprocs=1)), seconds=5 * PATIENCE)
    codes = {key: record.code for key, record in store.scan(runs).items()}
    assert codes == CODES | {f"after {name}": 0 for name in ATTACKS}
    for key in runs:
        files = store.files(key).keys()
        assert {"stdout", "stderr", "status_code", "run.json"} <= files


def test_a_run_that_kills_its_worker_is_given_up(place: Workplace, store: Store) -> None:
    """By the fifth worker: the first one had no time to say that the run had started."""
    chunk = place.chunk({"killer": "echo x >> $HERE/log; kill -9 $PPID; sleep 60", "good": GOOD}, nprocs=1)
    for _ in range(4):
        finish(start(place, chunk), -signal.SIGKILL)
    finish(start(place, chunk))
    assert {key: record.code for key, record in store.scan(["killer", "good"]).items()} == {
        "killer": 125,
        "good": 0,
    }
    assert store.scan(["killer"])["killer"].reason == "3 workers died while they executed it"
    assert (place.folder / "log").read_text() == "x\n" * 4
    finish(start(place, place.chunk({"killer": GOOD})))  # executed again: its outcome has ended the row
    assert store.scan(["killer"])["killer"].code == 0


NAMES = [
    *(f"a{chr(n)}b".encode() for n in (*range(1, 0x20), *range(0x21, 0x2F), *range(0x3A, 0x41), 0x7F, 0x80, 0xA0)),
    b"\xff", b"%0A", b"%FF", b"%20", b"%250A", b"+", b"..a", b"a.", b" ", b"a ", b"\xe2\x80\xae", b"\xef\xbf\xbe",
    b"n" * 255, "\u00e4".encode(), b"a\\b", b"#", b"?x=1",
]  # fmt: skip


@pytest.mark.parametrize("client", ["obstore", "s3fs"])
def test_odd_names_of_results_are_kept(place: Workplace, store: Store, client: str) -> None:
    made = place.folder / "made"
    made.mkdir()
    for n, name in enumerate(NAMES):
        Path(os.fsdecode(os.path.join(os.fsencode(made), name))).write_text(str(n))
    long = "/".join(["d" * 250] * 4)
    (made / long).mkdir(parents=True)
    (made / long / "x").write_text("long")
    if client == "s3fs":
        place.storage_options = {"default_cache_type": "none"}
    place.work(place.chunk({"odd": f'{R}cp -r "$HERE"/made/. .', "good": GOOD}))
    assert {key: record.code for key, record in store.scan(["odd", "good"]).items()} == {"odd": 0, "good": 0}
    contents = set()
    for file_name in store.files("odd"):
        if file_name.startswith("results/"):
            with store.open("odd", file_name) as file:
                contents.add(file.read().decode())
    assert contents == {"long", *(str(n) for n in range(len(NAMES)))}
