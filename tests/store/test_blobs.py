"""Many objects are read at once, and few of them wait for it."""

from __future__ import annotations

import time

import pytest

from pydoit_sc.store.blobs import ask_each, get_all
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


def test_few_of_many_paths_wait_for_their_turn(blobs: MemoryBlobs) -> None:
    given = []

    def give(number: int) -> int:
        given.append(number)
        return number

    for number, answer in enumerate(ask_each(blobs, str, map(give, range(10_000)))):
        assert answer == str(number)
        assert len(given) - number <= 100
    assert len(given) == 10_000


def test_an_error_is_raised_in_its_turn_and_ends_the_rest(blobs: MemoryBlobs) -> None:
    asked = []

    def ask(value: int) -> int:
        asked.append(value)
        time.sleep(0.001)
        return 1 // (value - 3)

    answers = ask_each(blobs, ask, range(10_000))
    assert [next(answers) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(answers)
    assert len(asked) < 200
