"""The index saves requests and changes no answer: torn, stale, missing or lying."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from pydoit_sc.store import Record
from pydoit_sc.store.blobs import Blob
from pydoit_sc.store.index import IndexWriter, pack
from pydoit_sc.store.layout import LARGEST
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
        store._index.add(_said(n), lambda request: request())
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


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(gzip.compress(bytes(1 << 24)) * 200, id="zeros", marks=pytest.mark.slow),
        pytest.param(gzip.compress(b"{}\n" * (1 << 20)) * 100, id="lines"),
    ],
)
def test_a_bomb_is_not_read_to_its_end(bucket: Bucket, bomb: bytes) -> None:
    (path,) = (path for path in bucket.objects if path.startswith(INDEX))
    bucket.objects[path] = (bomb, 0.0)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    assert _scan(bucket)[0] == TRUTH
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 4 << 20


@pytest.mark.parametrize("asks", ["scan", "look", "glance", "contents"])
def test_runs_that_are_few_beside_what_the_store_has_are_read_one_by_one(bucket: Bucket, asks: str) -> None:
    for n in range(COUNT * 50):
        bucket.objects[f"each/{n}/stdout"] = (b"", 0.0)
    wanted = [f"r{n}" for n in range(COUNT)]
    blobs, listed, read = MemoryBlobs(bucket), 0, []

    def count(folder: str, after: str = "") -> Iterator[Blob]:
        nonlocal listed
        for blob in MemoryBlobs.list(blobs, folder, after):
            listed += 1
            yield blob

    blobs.list = count  # type: ignore[method-assign]
    blobs.before = lambda verb, path: read.append(path) if verb == "get" else None
    answer = getattr(ObjectStore("memory", blobs), asks)(wanted)
    if asks == "contents":
        assert {key: int(there.status_code) for key, there in answer} == {
            key: record.code for key, record in TRUTH.items()
        }
    else:
        assert (dict(zip(wanted, answer, strict=True)) if asks == "look" else answer) == TRUTH
    assert listed <= COUNT * 42 + 1  # those of the runs, too
    assert sorted(path for path in read if path.endswith("run.json")) == sorted(
        f"{key}/run.json" for key in wanted
    )


def test_an_index_that_is_too_large_is_not_read(bucket: Bucket) -> None:
    bucket.objects[f"{INDEX}planted"] = (bytes(9 << 20), 0.0)
    records, read = _scan(bucket)
    assert records == TRUTH
    assert f"{INDEX}planted" not in read


RUNS = 6  # of a worker
WORKERS = 40


def _work(
    bucket: Bucket, workers: range, refused: Callable[[str, str], None] = lambda verb, path: None
) -> None:
    """Have workers of few runs each publish, one after the other."""
    for worker in workers:
        blobs = MemoryBlobs(bucket)
        store = ObjectStore("memory", blobs)
        for n in range(RUNS * worker, RUNS * (worker + 1)):
            blobs.put(f"r{n}/status_code", b"%d" % (n % 3))
            blobs.put(f"r{n}/run.json", _said(n))
            store._index.add(_said(n), lambda request: request())
        blobs.before = refused
        store.settle()


def _read(bucket: Bucket, runs: int) -> list[str]:
    """Return what a scan reads beside its listing; it must find all runs."""
    blobs, read = MemoryBlobs(bucket), []
    blobs.before = lambda verb, path: read.append(path) if verb == "get" else None
    truth = {f"r{n}": Record(n % 3, f"a-{n}", "f", "s") for n in range(runs)}
    assert ObjectStore("memory", blobs).scan(truth) == truth
    return sorted(read)


def _indexes(bucket: Bucket) -> list[str]:
    return [path for path in bucket.objects if path.startswith(INDEX)]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object of the index has a name before all earlier ones, so that its worker merges as soon as one may."""
    names = iter(range(1000, 0, -1))
    monkeypatch.setattr("uuid.uuid4", lambda: UUID(int=next(names)))


@pytest.mark.usefixtures("turns")
def test_small_objects_of_the_index_are_merged() -> None:
    bucket = Bucket()
    bucket.objects[f"{INDEX}torn"] = (gzip.compress(_said(0))[:-9], 0.0)
    _work(bucket, range(30))
    assert len(_indexes(bucket)) == 31
    _work(bucket, range(30, WORKERS))
    assert len(_indexes(bucket)) == 10, "of the first 31 workers and what is torn, one"
    assert _read(bucket, WORKERS * RUNS) == sorted(_indexes(bucket))


def test_of_workers_that_end_together_one_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    """They all see the same objects."""
    bucket, puts = Bucket(), 0
    with monkeypatch.context() as patch:
        patch.setattr("pydoit_sc.store.index._MANY", WORKERS + 1)
        _work(bucket, range(WORKERS))

    def count(verb: str, path: str) -> None:
        nonlocal puts
        puts += verb == "put"

    for own in _indexes(bucket):
        same = Bucket()
        same.objects.update(bucket.objects)
        blobs = MemoryBlobs(same)
        blobs.before = count
        IndexWriter(blobs)._merge(own, lambda request: request())
    assert puts == 1


@pytest.mark.usefixtures("turns")
@pytest.mark.parametrize("refused", ["list", "get", "put", "delete"])
def test_a_merge_that_fails_loses_nothing(refused: str) -> None:
    bucket, puts = Bucket(), 0

    def refuse(verb: str, path: str) -> None:
        nonlocal puts
        puts += verb == "put"
        if verb == refused and (verb != "put" or puts > 1):  # the first is its own
            raise ConnectionError(path)

    _work(bucket, range(31))
    _work(bucket, range(31, 32), refuse)
    assert len(_indexes(bucket)) == (33 if refused == "delete" else 32)
    assert _read(bucket, 32 * RUNS) == sorted(_indexes(bucket))


def test_long_documents_are_in_no_index(bucket: Bucket) -> None:
    long = _said(0) + b" " * (64 << 10)
    assert gzip.decompress(pack([_said(1), long, _said(2)])).split(b"\n") == [_said(1), _said(2)]


def test_a_document_that_is_too_large_is_not_believed(bucket: Bucket) -> None:
    bucket.objects["r1/run.json"] = (bytes(LARGEST + 1), 0.0)
    assert _scan(bucket)[0] == {**TRUTH, "r1": Record(1)}


def test_what_was_published_meanwhile_is_known_until_its_run_is_released() -> None:
    """A worker holds the next runs while some of the last ones have not started."""
    bucket = Bucket()
    store, other = (ObjectStore("memory", MemoryBlobs(bucket)) for _ in range(2))
    with store.workspace("w1", None), other.workspace("w2", None):
        store.scan(["a", "b"])
        for key in ("a", "b"):
            other._blobs.put(f"{key}/run.json", _said(1))
            other._blobs.put(f"{key}/status_code", b"0")
            assert store.hold("w1", [key]) == {key: 0}
        assert [getattr(store.peek(key), "attempt", None) for key in ("a", "b")] == ["a-1"] * 2
        store.release("a")
        assert list(store._seen) == ["b"]
