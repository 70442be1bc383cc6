"""Leases: who is alive, who holds what, and what a worker may do that was away for too long."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydoit_sc.proc import machine, started_at
from pydoit_sc.store import HeldError, Live, leases
from pydoit_sc.store.blobs import Blob
from pydoit_sc.store.documents import Lease
from pydoit_sc.store.leases import TTL, FencedError, Leases
from tests.conftest import until
from tests.store.memory_blobs import Bucket, MemoryBlobs


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket whose clock is the workers' clock, too."""
    bucket = Bucket()
    monkeypatch.setattr(leases, "_now", lambda: bucket.clock - 1_000_000)
    return bucket


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker is on another machine."""
    monkeypatch.setattr(leases, "_is_here", lambda _said: None)


@pytest.mark.usefixtures("elsewhere")
def test_what_a_live_worker_holds_is_refused_to_others(bucket: Bucket) -> None:
    one, two = Leases(MemoryBlobs(bucket), "s"), Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"), two.keep("w2"):
        one.take("chunks/c")
        one.take("chunks/c")  # asked again after a lost answer
        bucket.clock += TTL - 1
        with pytest.raises(HeldError, match="worker w1"):
            two.take("chunks/c")
        one.renew()
        bucket.clock += TTL - 1
        with pytest.raises(HeldError, match="worker w1"):
            two.take("chunks/c")
        one.release("chunks/c")
        two.take("chunks/c")
    assert ".pydoit_sc/chunks/c" in bucket.objects  # held by a worker that is no more
    with one.keep("w3"):
        one.take("chunks/c")


@pytest.mark.usefixtures("elsewhere")
def test_a_lease_that_is_not_renewed_is_ended_once(bucket: Bucket) -> None:
    one, two, three = (Leases(MemoryBlobs(bucket), "s") for _ in range(3))
    with one.keep("w1"), two.keep("w2"), three.keep("w3"):
        one.take("chunks/c")
        bucket.clock += TTL + 1
        two.renew()
        three.renew()
        two.take("chunks/c")
        with pytest.raises(HeldError, match="worker w2"):
            three.take("chunks/c")
        for _ in range(2):
            with pytest.raises(FencedError, match=r"w1 did not renew its lease for 60 s"):
                one.check()
        with pytest.raises(FencedError):
            one.take("chunks/d")
        one.release("chunks/c")  # is not its own any more
        with pytest.raises(HeldError, match="worker w2"):
            three.take("chunks/c")


@pytest.mark.usefixtures("elsewhere")
def test_a_worker_that_was_away_and_hindered_nobody_goes_on(bucket: Bucket) -> None:
    one = Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"):
        bucket.clock += 10 * TTL
        one.check()
        one.take("chunks/c")


@pytest.mark.usefixtures("elsewhere")
def test_a_renewal_in_the_last_moment_counts(bucket: Bucket) -> None:
    blobs = MemoryBlobs(bucket)
    one, two = Leases(MemoryBlobs(bucket), "s"), Leases(blobs, "s")

    def renew_before_the_end(verb: str, path: str) -> None:
        if verb == "update" and path.endswith("/w1"):
            one.renew()

    with one.keep("w1"), two.keep("w2"):
        one.take("chunks/c")
        bucket.clock += TTL + 1
        blobs.before = renew_before_the_end
        with pytest.raises(HeldError, match="worker w1"):
            two.take("chunks/c")
        one.check()


def test_a_renewal_whose_answer_is_lost_is_found(bucket: Bucket) -> None:
    blobs = MemoryBlobs(bucket)
    one = Leases(blobs, "s")

    def lose(verb: str, path: str) -> None:
        raise OSError("reset")

    with one.keep("w1"):
        blobs.after = lose
        with pytest.raises(OSError, match="reset"):
            one.renew()
        blobs.after = lambda _verb, _path: None
        one.renew()
        one.renew()


@pytest.mark.usefixtures("elsewhere")
def test_a_store_without_times_is_watched(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = MemoryBlobs._blob
    monkeypatch.setattr(MemoryBlobs, "_blob", lambda self, path: plain(self, path)._replace(modified=None))
    one, two = Leases(MemoryBlobs(bucket), "s"), Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"), two.keep("w2"):
        one.take("chunks/c")
        bucket.clock += 10 * TTL  # not seen: nobody has watched
        for _ in range(3):
            with pytest.raises(HeldError):
                two.take("chunks/c")
        bucket.clock += TTL + 1
        two.take("chunks/c")


@pytest.mark.usefixtures("elsewhere")
def test_a_worker_is_alive_in_a_store_whose_listings_tell_nothing(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = MemoryBlobs._blob
    monkeypatch.setattr(
        MemoryBlobs, "_blob", lambda self, path: plain(self, path)._replace(modified=None, etag="")
    )
    one, two = Leases(MemoryBlobs(bucket), "s"), Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"), two.keep("w2"):
        one.take("chunks/c")
        one.hold(["run"])
        for _ in range(3):
            assert list(two.hold(["run"]).taken) == ["run"]
            with pytest.raises(HeldError):
                two.take("chunks/c")
            bucket.clock += TTL + 1
            monkeypatch.setattr(time, "time", lambda: bucket.clock)
            one.renew()
        bucket.clock += TTL + 1
        two.hold(["run"])
        bucket.clock += TTL + 1
        assert two.hold(["run"]).taken == {}


def test_a_worker_that_died_here_is_seen_at_once(bucket: Bucket, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pydoit_sc.store.leases import Leases; from pydoit_sc.store.anyfs import AnyBlobs\n"
        f"leases = Leases(AnyBlobs('local://{tmp_path}', {{}}), 's')\n"
        "with leases.keep('w1'): leases.take('chunks/c'); print('held', flush=True); time.sleep(600)"
    )
    from pydoit_sc.store.anyfs import AnyBlobs

    two = Leases(AnyBlobs(f"local://{tmp_path}", {}), "s")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout and one.stdout.readline() == "held\n"
        with two.keep("w2"):
            with pytest.raises(HeldError, match="worker w1"):
                two.take("chunks/c")
            one.kill()
            one.wait()
            two.take("chunks/c")


def test_what_workers_execute_is_told_with_their_leases(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: bucket.clock)
    one, two = Leases(MemoryBlobs(bucket), "s"), Leases(MemoryBlobs(bucket), "s")
    live = Live(host="host", folder="/folder", since=1.5)
    with one.keep("w1"):
        assert two.running() == {}
        one.announce({"a/run": live})
        one.renew()
        assert two.running() == {"a/run": live}
        bucket.objects[".pydoit_sc/leases/w9"] = (b"[torn", bucket.clock)
        assert two.running() == {"a/run": live}
        bucket.clock += 4 * TTL
        assert two.running() == {}


@pytest.mark.usefixtures("elsewhere")
def test_what_workers_execute_is_told_by_a_clock_that_is_behind_and_in_a_store_without_times(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: bucket.clock)
    blobs = MemoryBlobs(bucket)
    one, two, three = (Leases(MemoryBlobs(bucket), "s"), Leases(MemoryBlobs(bucket), "s"), Leases(blobs, "s"))
    live = Live(host="host", folder="/folder", since=1.5)
    with one.keep("w1"), two.keep("w2"):
        one.announce({"a": live})
        one.renew()
        bucket.clock += 4 * TTL  # the first one has died
        two.announce({"b": live})
        two.renew()
        monkeypatch.setattr(time, "time", lambda: bucket.clock - 3600)
        assert three.running() == {"b": live}
        monkeypatch.setattr(time, "time", lambda: bucket.clock)
        monkeypatch.setattr(
            blobs,
            "list",
            lambda _: (Blob(*blob[:3], None) for blob in MemoryBlobs(bucket).list(leases._FOLDER)),
        )
        assert three.running() == {"b": live}


@pytest.mark.parametrize(("tell", "renew"), [(1.0, 1000.0), (1000.0, 1.0)])
def test_it_is_renewed_soon_where_there_is_news_and_never_later_for_it(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tell: float, renew: float
) -> None:
    for name, seconds in (("LOOK_EVERY", 0.01), ("TELL_EVERY", tell), ("RENEW_EVERY", renew)):
        monkeypatch.setattr(leases, name, seconds)
    monkeypatch.setattr(time, "time", lambda: bucket.clock)
    one = Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"):
        for n in range(3):
            one.announce({f"a/{n}": Live(host="host", folder="/folder", since=1.5)})
            bucket.clock += 2
            until(lambda n=n: f"a/{n}" in one.running())  # type: ignore[misc]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"worker": 7}',
        b'{"pid": "1", "running": []}',
        b'{"running": {"a": {"host": null}}}',
        b'{"here": ' + b"[" * 100_000,
    ],
)
def test_a_lease_that_is_not_sound_lasts_as_long_as_any(bucket: Bucket, text: bytes) -> None:
    one, two = Leases(MemoryBlobs(bucket), "s"), Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"), two.keep("w2"):
        one.take("chunks/c")
        bucket.objects[".pydoit_sc/leases/w1"] = (text, bucket.clock)
        assert two.running() == {}
        with pytest.raises(HeldError, match="worker w1 on an unknown host"):
            two.take("chunks/c")
        bucket.clock += TTL + 1
        two.take("chunks/c")


@pytest.mark.usefixtures("elsewhere")
def test_what_holds_a_chunk_may_be_anything(bucket: Bucket) -> None:
    one = Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"):
        for text in (b"", b"null", b'{"worker": []}'):
            bucket.objects[".pydoit_sc/chunks/c"] = (text, bucket.clock)
            one.take("chunks/c")


def test_a_process_of_this_machine_is_known_by_when_it_was_started() -> None:
    own = Lease(here=machine(), pid=os.getpid(), started=started_at(os.getpid()))
    assert leases._is_here(own) is True
    assert leases._is_here(own.model_copy(update={"started": "1"})) is False
    assert leases._is_here(own.model_copy(update={"pid": 0})) is False
    assert leases._is_here(own.model_copy(update={"here": "another machine"})) is None


@pytest.mark.usefixtures("elsewhere")
def test_what_a_renewal_was_to_say_is_said_though_the_reply_to_the_one_before_was_lost(
    bucket: Bucket,
) -> None:
    blobs = MemoryBlobs(bucket)
    one, two = Leases(blobs, "s"), Leases(MemoryBlobs(bucket), "s")

    def lose(verb: str, path: str) -> None:
        raise OSError("reset")

    with one.keep("w1"), two.keep("w2"):
        blobs.after = lose
        with pytest.raises(OSError, match="reset"):
            one.renew()
        blobs.after = lambda _verb, _path: None
        assert one.hold(["run"]).taken == {}
        assert list(two.hold(["run"]).taken) == ["run"]


@pytest.mark.usefixtures("elsewhere")
def test_leases_that_ended_are_removed_after_a_day(bucket: Bucket) -> None:
    one, two = Leases(MemoryBlobs(bucket), "s"), Leases(MemoryBlobs(bucket), "s")
    with one.keep("w1"):
        pass
    with two.keep("w2"):
        two.hold(["run"])
        assert ".pydoit_sc/leases/w1" in bucket.objects
        bucket.clock += 90_000
        two.hold(["run"])
        two.hold(["run"])
        assert ".pydoit_sc/leases/w1" not in bucket.objects
