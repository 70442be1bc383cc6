"""How many workers have died of a run, as the leases of dead workers tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pydoit_sc.store import Live, leases
from pydoit_sc.store.deaths import digest_of
from pydoit_sc.store.leases import TTL, Leases
from tests.store.memory_blobs import Bucket, MemoryBlobs

FOLDER = ".pydoit_sc/leases"
LIVE = Live(host="host", folder="/folder", since=1.5)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket whose clock is the workers' clock, too; every worker is on another machine."""
    bucket = Bucket()
    monkeypatch.setattr(leases, "_now", lambda: bucket.clock - 1_000_000)
    monkeypatch.setattr(leases, "_is_here", lambda _said: None)
    return bucket


@contextmanager
def worker(bucket: Bucket, name: str, *, dies: bool = True, seconds: float = TTL + 1) -> Iterator[Leases]:
    """A worker; one that dies leaves its lease as it is, which is old soon."""
    mine = Leases(MemoryBlobs(bucket), "s")
    with mine.keep(name):
        yield mine
        last = bucket.objects[f"{FOLDER}/{name}"]
    if dies:
        bucket.objects[f"{FOLDER}/{name}"] = last
        bucket.clock += seconds


def publish(bucket: Bucket, key: str) -> None:
    bucket.objects[f"{key}/status_code"] = b"1", bucket.clock


def test_what_was_executing_when_a_worker_died_is_counted(bucket: Bucket) -> None:
    for n in range(4):
        with worker(bucket, f"w{n}") as one:
            held = one.hold(["long", "next"])
            assert held.deaths == ({"long": n} if n else {})
            if n:
                one.tell_start("long")
            one.announce({"long": LIVE})
            one.renew()


def test_a_run_that_kills_at_once_is_counted_from_the_second_worker_on(bucket: Bucket) -> None:
    """The first has said only that it holds the run; the others say that it starts, before it does."""
    for n in range(5):
        with worker(bucket, f"w{n}") as one:
            assert one.hold(["quick", "next"]).deaths == ({"quick": n - 1} if n > 1 else {})
            assert one.is_suspect("quick") is (n > 0)
            if n:
                one.tell_start("quick")
            assert not one.is_suspect("quick")
            assert one.is_suspect("next") is (n > 0)  # has not started, and is not counted


def test_a_worker_that_ends_by_itself_has_not_died(bucket: Bucket) -> None:
    with worker(bucket, "w1", dies=False) as one:
        one.hold(["run"])
        one.announce({"run": LIVE})
        one.renew()
    with worker(bucket, "w2") as two:
        assert two.hold(["run"]).deaths == {}
        assert not two.is_suspect("run")


def test_an_outcome_ends_the_row(bucket: Bucket) -> None:
    publish(bucket, "before")
    bucket.clock += 10
    with worker(bucket, "w1") as one:
        one.hold(["before", "after", "never"])
        one.announce(dict.fromkeys(("before", "after", "never"), LIVE))
        one.renew()
    publish(bucket, "after")
    with worker(bucket, "w2") as two:
        assert two.hold(["before", "after", "never"]).deaths == {"before": 1, "never": 1}


def test_who_has_ended_a_dead_workers_lease_takes_nothing_from_it(bucket: Bucket) -> None:
    with worker(bucket, "w1") as one:
        one.take("chunks/c")
        one.hold(["run"])
        one.announce({"run": LIVE})
        one.renew()
    with worker(bucket, "w2", dies=False) as two:
        two.take("chunks/c")
        assert two.running() == {}
    with worker(bucket, "w3") as three:
        assert three.hold(["run"]).deaths == {"run": 1}


def test_a_start_that_nobody_could_be_told_is_told_again(bucket: Bucket) -> None:
    with worker(bucket, "w1") as one:
        one.hold(["run"])

    def reset(verb: str, path: str) -> None:
        raise ConnectionError(f"{verb} {path}")

    blobs = MemoryBlobs(bucket)
    two = Leases(blobs, "s")
    with two.keep("w2"):
        two.hold(["run"])
        blobs.before = reset
        with pytest.raises(ConnectionError):
            two.tell_start("run")
        blobs.before = lambda _verb, _path: None
        assert two.is_suspect("run")
        two.tell_start("run")
        last = bucket.objects[f"{FOLDER}/w2"]
    bucket.objects[f"{FOLDER}/w2"] = last
    bucket.clock += TTL + 1
    with worker(bucket, "w3") as three:
        assert three.hold(["run"]).deaths == {"run": 1}


def test_old_leases_are_read_once_and_not_at_all_where_workers_have_ended_them(bucket: Bucket) -> None:
    for n in range(9):
        with worker(bucket, f"w{n}", dies=n < 3) as one:
            one.hold([f"run {n}"])
    bucket.clock += TTL + 1
    blobs, read = MemoryBlobs(bucket), list[str]()
    last = Leases(blobs, "s")
    with last.keep("last"):
        blobs.before = lambda verb, path: read.append(path) if verb == "get" else None
        for n in range(3):
            assert last.hold([f"other {n}"]).deaths == {}
    assert sorted(read) == [f"{FOLDER}/w{n}" for n in range(3)]


@pytest.mark.parametrize("deaths", ['{"%s": -1}', '{"%s": 1000}', '{"%s": "3"}', "[]", "7"])
def test_counts_that_are_none_are_not_believed(bucket: Bucket, deaths: str) -> None:
    digest = digest_of("run")
    said = f'{{"worker": "w1", "holds": ["{digest}"], "deaths": {deaths.replace("%s", digest)}}}'
    bucket.objects[f"{FOLDER}/w1"] = said.encode(), bucket.clock
    bucket.clock += TTL + 1
    with worker(bucket, "w2") as two:
        assert two.hold(["run"]).deaths == {}
