"""Files of a run are sent at once, or one after the other where many runs are published beside it."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress

import pytest

from pydoit_sc.store.uploads import Uploads
from tests.store.memory_blobs import Bucket, MemoryBlobs


@pytest.fixture
def uploads() -> Uploads:
    blobs = MemoryBlobs(Bucket())
    blobs.at_once = 8
    return Uploads(blobs)


@pytest.mark.parametrize(
    "publications, files, at_once",
    [(0, 2, True), (2, 2, True), (3, 2, False), (3, 3, True), (8, 3, True)],
)
def test_files_are_sent_at_once_unless_they_are_few_and_runs_are_many(
    uploads: Uploads, publications: int, files: int, at_once: bool
) -> None:
    together, met = threading.Barrier(files), list[str]()

    def upload(name: str) -> str:
        with suppress(threading.BrokenBarrierError):
            together.wait(30 if at_once else 0.05)
            met.append(name)
        return name.upper()

    names = ["a", "b", "c"][:files]
    with ExitStack() as stack:
        for _ in range(publications):
            stack.enter_context(uploads.publication())
        assert uploads.each(upload, names) == [name.upper() for name in names]
    assert sorted(met) == (names if at_once else [])


def test_publications_that_have_ended_do_not_count(uploads: Uploads) -> None:
    for _ in range(3):
        with suppress(OSError), uploads.publication():
            raise OSError
    test_files_are_sent_at_once_unless_they_are_few_and_runs_are_many(uploads, 2, 2, True)


def test_an_error_comes_when_nothing_is_under_way_any_more(uploads: Uploads) -> None:
    began, sent = threading.Barrier(4), list[str]()

    def upload(name: str) -> None:
        began.wait(30)
        if name == "a":
            raise ConnectionError(name)
        time.sleep(0.05)
        sent.append(name)

    with pytest.raises(ConnectionError, match="a"):
        uploads.each(upload, [*"abcd"])
    assert sorted(sent) == [*"bcd"]
