"""Many objects are read at once."""

from __future__ import annotations

import pytest

from pydoit_sc.store.blobs import get_all
from tests.store.memory_blobs import Bucket, MemoryBlobs


@pytest.fixture
def blobs() -> MemoryBlobs:
    """A store that may be asked by four threads."""
    made = MemoryBlobs(Bucket())
    made.at_once = 4
    return made


def test_contents_come_in_the_order_of_the_paths(blobs: MemoryBlobs) -> None:
    wanted = [f"{n % 7}/{n}" for n in range(500)]
    for path in wanted[::2]:
        blobs.put(path, path.encode())
    assert [*get_all(blobs, iter(wanted)).items()] == [(path, path.encode()) for path in wanted[::2]]
    assert get_all(blobs, ()) == {}
