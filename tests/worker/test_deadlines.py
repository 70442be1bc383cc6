"""Deadlines come in their order, and those of the past do not pile up."""

from __future__ import annotations

from typing import cast
from unittest import mock

from pydoit_sc.worker.attempts import Attempt
from pydoit_sc.worker.deadlines import Deadlines


def live(*pids: int) -> dict[int, Attempt]:
    return {pid: cast(Attempt, mock.Mock(id=str(pid))) for pid in pids}


def test_they_are_due_in_their_order() -> None:
    deadlines = Deadlines(live(1))
    assert deadlines.next is None
    for when in (3.0, 1.0, 2.0):
        deadlines.add(when, 1, 15)
    assert deadlines.next == 1.0
    assert [deadline.when for deadline in deadlines.due(2.0)] == [1.0, 2.0]
    assert list(deadlines.due(2.5)) == []
    assert deadlines.next == 3.0


def test_those_of_the_past_are_swept_out() -> None:
    executing: dict[int, Attempt] = {}
    deadlines = Deadlines(executing)
    for n in range(10_000):
        executing.clear()
        executing.update(live(n))
        deadlines.add(1e9 + n, n, 15)
    assert len(deadlines._heap) < 1100
    assert [deadline.pid for deadline in deadlines.due(2e9)] == [9_999]


def test_one_of_an_attempt_before_is_no_deadline_of_its_pid() -> None:
    executing = live(1)
    deadlines = Deadlines(executing)
    deadlines.add(1.0, 1, 15)
    executing[1] = cast(Attempt, mock.Mock(id="another"))
    assert list(deadlines.due(2.0)) == []
