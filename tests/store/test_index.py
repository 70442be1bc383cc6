"""The index saves requests and changes no answer: torn, stale, missing or lying."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from pydoit_sc.store import Record
from pydoit_sc.store.objects import FEW, ObjectStore
from tests.store.memory_blobs import Bucket, MemoryBlobs

COUNT = FEW + 20
INDEX = ".pydoit_sc/index/"


def _said(n: int, fingerprint: str = "f") -> bytes:
    return json.dumps({"attempt": f"a-{n}", "fingerprint": fingerprint, "submission": "s"}).encode()


@pytest.fixture
def bucket() -> Bucket:
    """Many finished runs, as a worker leaves them, with their index."""
    bucket = Bucket()
    blobs = MemoryBlobs(bucket)
    store = ObjectStore("memory", blobs)
    for n in range(COUNT):
        blobs.put(f"r{n}/status_code", b"%d" % (n % 3))
        blobs.put(f"r{n}/run.json", _said(n))
        vars(store)["_published"].append(_said(n))
    store.settle()
    assert any(path.startswith(INDEX) for path in bucket.objects)
    return bucket


def _scan(bucket: Bucket) -> tuple[dict[str, Record], list[str]]:
    blobs, read = MemoryBlobs(bucket), []
    blobs.before = lambda verb, path: read.append(path) if verb == "get" else None
    return ObjectStore("memory", blobs).scan(f"r{n}" for n in range(COUNT)), read


TRUTH = {f"r{n}": Record(n % 3, f"a-{n}", "f", "s") for n in range(COUNT)}


def test_with_its_index_a_scan_reads_no_run(bucket: Bucket) -> None:
    records, read = _scan(bucket)
    assert records == TRUTH
    assert [path for path in read if not path.startswith(INDEX)] == []


def _lie(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data).replace(b'"f"', b'"lie"'))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda _data: b"not gzip",
        lambda _data: gzip.compress(b"not json\n\xff\xfe"),
        lambda data: bytes([*data[:20], data[20] ^ 1, *data[21:]]),
        _lie,
    ],
)
def test_a_bad_index_changes_no_answer(bucket: Bucket, damage: Callable[[bytes], bytes]) -> None:
    (path,) = (path for path in bucket.objects if path.startswith(INDEX))
    bucket.objects[path] = (damage(bucket.objects[path][0]), 0.0)
    assert _scan(bucket)[0] == TRUTH


def test_a_stale_or_missing_index_changes_no_answer(bucket: Bucket) -> None:
    blobs = MemoryBlobs(bucket)
    blobs.put("r1/run.json", _said(1, "newer"))
    blobs.put("r2/status_code", b"99")
    blobs.delete(["r3/status_code", "r3/run.json"])
    expected = {**TRUTH, "r1": Record(1, "a-1", "newer", "s"), "r2": TRUTH["r2"]._replace(code=99)}
    del expected["r3"]
    records, read = _scan(bucket)
    assert records == expected
    assert sorted(path for path in read if not path.startswith(INDEX)) == ["r1/run.json"]
    blobs.delete([path for path in bucket.objects if path.startswith(INDEX)])
    assert _scan(bucket)[0] == expected
