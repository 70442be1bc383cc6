"""Many values, some at once: the order of their answers, how many wait, and what an error ends."""

from __future__ import annotations

import threading
import time

import pytest

from pydoit_sc.sidebyside import side_by_side


def test_few_of_many_values_wait_for_their_turn() -> None:
    given = []

    def give(number: int) -> int:
        given.append(number)
        return number

    for number, answer in enumerate(side_by_side(str, map(give, range(10_000)), 4, 16)):
        assert answer == str(number)
        assert len(given) - number <= 4 * 16 + 1
    assert len(given) == 10_000


def test_an_error_is_raised_in_its_turn_and_ends_the_rest() -> None:
    asked = []

    def ask(value: int) -> int:
        asked.append(value)
        time.sleep(0.001)
        return 1 // (value - 3)

    answers = side_by_side(ask, range(10_000), 4, 16)
    assert [next(answers) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(answers)
    assert len(asked) < 100


def test_one_thread_is_this_one() -> None:
    (where,) = side_by_side(lambda _: threading.current_thread(), [0], 1)
    assert where is threading.current_thread()
