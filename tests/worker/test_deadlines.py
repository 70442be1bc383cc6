"""Deadlines come in their order, and those of the past do not pile up."""

from __future__ import annotations

from pydoit_sc.worker.deadlines import Deadline, Deadlines


def test_they_are_due_in_their_order() -> None:
    deadlines = Deadlines()
    assert deadlines.next is None
    for when in (3.0, 1.0, 2.0):
        deadlines.add(Deadline(when, 1, "a", 15))
    assert deadlines.next == 1.0
    assert [deadline.when for deadline in deadlines.due(2.0)] == [1.0, 2.0]
    assert list(deadlines.due(2.5)) == []
    assert deadlines.next == 3.0


def test_those_of_the_past_are_swept_out() -> None:
    deadlines = Deadlines()
    for n in range(10_000):
        deadlines.add(Deadline(1e9 + n, n, str(n), 15))
        if deadlines.crowded(1):
            deadlines.sweep({str(n)})
    assert len(deadlines._heap) < 1100
    assert Deadline(1e9 + 9_999, 9_999, "9999", 15) in deadlines._heap
