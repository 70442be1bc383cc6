"""Moments and times, also those that are none."""

from __future__ import annotations

import time

import pytest

from pydoit_sc.times import LONGEST, about, clock, local, moment_of, span, utc

NEVER = [float("nan"), float("inf"), float("-inf"), 1e300, -1e300]


def test_what_is_no_time_has_words() -> None:
    for seconds in (*NEVER, LONGEST, -1.0):
        assert {words(seconds) for words in (span, about, clock)} == {"an unknown time"}
    assert [(local(seconds), utc(seconds)) for seconds in NEVER] == [("an unknown time", None)] * len(NEVER)


@pytest.mark.parametrize("zone", ["Europe/Zurich", "UTC", "America/New_York"])
def test_the_edges_of_the_calendar_are_told_in_every_zone(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for seconds in (253402300799.0, -62135596800.0):
            assert moment_of(seconds) is not None
            assert local(seconds)
    finally:
        monkeypatch.undo()
        time.tzset()
