"""Failures that may pass are tried again."""

from __future__ import annotations

import pytest

from pydoit_sc.retries import pauses, retry


class Flaky:
    """Raises these errors, one at each call, then returns the number of calls."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


def test_pauses_grow_up_to_the_longest() -> None:
    for waits in (list(pauses(6, 1.0, 8.0)) for _ in range(100)):
        for wait, middle in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
            assert middle / 2 <= wait <= middle * 1.5


def test_it_is_tried_until_it_succeeds() -> None:
    assert retry(Flaky(OSError(), ValueError()), (0, 0, 0)) == 3


def test_the_last_error_is_raised() -> None:
    flaky = Flaky(*(OSError(str(n)) for n in range(9)))
    with pytest.raises(OSError, match="2"):
        retry(flaky, (0, 0))
    assert flaky.calls == 3


def test_an_error_that_does_not_pass_is_raised_at_once() -> None:
    flaky = Flaky(OSError(), FileNotFoundError())
    with pytest.raises(FileNotFoundError):
        retry(flaky, (0, 0, 0), when=lambda error: not isinstance(error, FileNotFoundError))
    assert flaky.calls == 2


def test_what_is_called_before_each_try_may_end_it() -> None:
    flaky, checks = Flaky(OSError(), OSError()), Flaky(*[])

    def check() -> None:
        if checks() == 2:
            raise RuntimeError("over")

    with pytest.raises(RuntimeError):
        retry(flaky, (0, 0, 0), before=check)
    assert flaky.calls == 1
