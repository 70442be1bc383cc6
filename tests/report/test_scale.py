"""Scales: moments on a line from which long pauses are cut out, and what is written below."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pydoit_sc.report.scale import Clock, _moment, number_step, ticks, time_step
from pydoit_sc.times import span


@pytest.fixture(autouse=True, scope="module")
def _zone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Zurich")
        time.tzset()
        yield
    time.tzset()


DAY = 1_795_561_200.0  # 2026-11-25 00:00 in Zurich


def test_a_pause_is_cut_out_and_a_short_one_is_not() -> None:
    clock = Clock([(DAY, DAY + 100), (DAY + 120, DAY + 300), (DAY + 90_000, DAY + 90_200)])
    assert clock.parts == [(DAY, DAY + 300), (DAY + 90_000, DAY + 90_200)]
    assert clock.seconds == 500
    assert clock.at(DAY) == 0
    assert clock.at(DAY + 300) == pytest.approx(0.98 * 0.6)
    assert clock.gaps == [pytest.approx(0.98 * 0.6 + 0.01)]
    assert clock.at(DAY + 90_000) == pytest.approx(0.98 * 0.6 + 0.02)
    assert clock.at(DAY + 90_200) == pytest.approx(1)


def test_a_short_part_is_seen() -> None:
    clock = Clock([(DAY, DAY + 36_000), (DAY + 500_000, DAY + 500_000.001)])
    assert 0.03 < 1 - clock.at(DAY + 500_000) < 0.05


def test_ticks_are_round_times_of_this_zone_and_name_each_day_once() -> None:
    clock = Clock([(DAY + 5 * 3600 + 100, DAY + 30 * 3600)])
    assert [tick.text for tick in clock.ticks()] == [
        *("Nov 25 06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "Nov 26 00:00", "03:00", "06:00"),
    ]
    assert [round(clock.moment(tick.at)) % 3600 for tick in clock.ticks()] == [0] * 9
    assert [tick.text for tick in Clock([(DAY, DAY + 20 * 86400)]).ticks()][:2] == ["Nov 25", "Nov 27"]
    assert [tick.text for tick in Clock([(DAY + 0.5, DAY + 0.9)]).ticks()][-1] == "00:00:00.90"


AUTUMN, SPRING = 1_761_343_200.0, 1_774_652_400.0  # midnights of the days before clocks are changed in Zurich


@pytest.mark.parametrize("saturday", [AUTUMN, SPRING])
def test_days_and_hours_are_round_after_a_clock_change_too(saturday: float) -> None:
    days = Clock([(saturday - 5 * 86400, saturday + 9 * 86400 + 7200)])
    shown = [(tick.text, round(days.moment(tick.at))) for tick in days.ticks()]
    assert len(shown) == 7
    for text, moment in shown:
        there = datetime.fromtimestamp(moment)
        assert (there.hour, f"{there:%b} {there.day}") == (0, text)
    hours = Clock([(saturday, saturday + 2.5 * 86400)])
    assert [tick.text[-5:] for tick in hours.ticks()][:8] == ["00:00", "06:00", "12:00", "18:00"] * 2


def test_both_hours_of_a_clock_that_is_set_back_have_ticks() -> None:
    clock = Clock([(AUTUMN + 86400 + 2 * 3600, AUTUMN + 86400 + 4 * 3600)])
    assert [tick.text[-5:] for tick in clock.ticks()][::4] == ["02:00", "02:00", "03:00"]


def test_a_moment_just_before_a_second_is_told_as_that_second() -> None:
    assert _moment(DAY + 9.999999, 0.1) == ("00:00:10.0", "Nov 25")
    assert _moment(DAY - 1e-6, 0.01) == ("00:00:00.00", "Nov 25")
    assert _moment(DAY + 59.999999, 60.0) == ("00:01", "Nov 25")


SPANS = st.lists(st.tuples(st.floats(1, 3e10), st.floats(0.001, 1e9)), min_size=1, max_size=20)


@example([(1.693948745727539, 0.001)])  # its one round moment is too near to the edge
@given(SPANS)
def test_moments_are_in_order_and_found_again(found: list[tuple[float, float]]) -> None:
    spans = [(start, start + length) for start, length in found]
    clock = Clock(spans)
    moments = sorted(moment for one in spans for moment in one)
    places = [clock.at(moment) for moment in moments]
    assert places == sorted(places)
    assert places[0] >= -1e-6 and places[-1] <= 1 + 1e-6
    assert len(clock.parts) <= 8
    marks = list(clock.ticks())
    assert 1 <= len(marks) <= 8 * 11
    assert all(-1e-6 <= tick.at <= 1 + 1e-6 for tick in marks)


@given(st.floats(1e-3, 1e9))
def test_a_scale_has_few_ticks(most: float) -> None:
    assert 1 <= len(ticks(most, time_step(most), span)) <= 6
    assert 1 <= len(ticks(most, number_step(most), str)) <= 6
