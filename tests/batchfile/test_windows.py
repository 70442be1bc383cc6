"""Windows in time zones, up to today, and as seconds since 1970."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.batchfile.axes import MatrixTable, read_axis
from pydoit_sc.batchfile.check import check
from pydoit_sc.batchfile.document import Document, Source
from pydoit_sc.batchfile.report import Notes, Report
from pydoit_sc.batchfile.windows import Window, parse_length, windows
from tests.batchfile.conftest import Problems
from tests.batchfile.conftest import Write as Make
from tests.batchfile.test_matrix import commands, names, stage

ZURICH = 'tz = "Europe/Zurich"'
NOON = datetime(2024, 10, 27, 12, 30, 15, 99, tzinfo=timezone.utc)  # 13:30 in Zurich, on the day of 25 hours


def read(axis: str, now: datetime = NOON) -> list[Window]:
    text = f"w = {{ {axis} }}"
    report = Report()
    table = check(MatrixTable, tomli.loads(text), Notes(report, Document("f", "toml", text.encode(), None)))
    assert table is not None, report.count
    return [w for w in read_axis(table.axes["w"], Source("/", "f", now, {})) if isinstance(w, Window)]


def starts(axis: str, now: datetime = NOON) -> list[str]:
    return [window.start.isoformat() for window in read(axis, now)]


def test_days_have_23_and_25_hours_where_clocks_change(make: Make) -> None:
    axis = f'w = {{ from = 2024-03-30T00:00:00, to = 2024-04-01T00:00:00, every = "1 day", {ZURICH} }}'
    batch = make(stage(axis, "{w.start!s} {w.end!s} {w.start:%s}-{w.end:%s}"))
    assert commands(batch) == [
        "2024-03-30T00:00:00+01:00 2024-03-31T00:00:00+01:00 1711753200-1711839600",
        "2024-03-31T00:00:00+01:00 2024-04-01T00:00:00+02:00 1711839600-1711922400",
        "2024-04-01T00:00:00+02:00 2024-04-02T00:00:00+02:00 1711922400-1712008800",
    ]
    assert (1711922400 - 1711839600) / 3600 == 23
    (day,) = read(f'from = 2024-10-27T00:00:00, to = 2024-10-27T00:00:00, every = "1 day", {ZURICH}')
    assert isinstance(day.start, datetime)
    assert isinstance(day.end, datetime)
    assert day.end - day.start == timedelta(hours=25)


def test_the_repeated_hour_is_told_apart_by_its_offset(make: Make, problems: Problems) -> None:
    axis = f'w = {{ from = 2024-10-27T01:00:00, to = 2024-10-27T03:00:00, every = "1 hour", {ZURICH} }}'
    assert names(make(stage(axis, "{w.start:%Z}"))) == [
        "2024-10-27T010000+0200", "2024-10-27T020000+0200", "2024-10-27T020000+0100", "2024-10-27T030000+0100",
    ]  # fmt: skip
    assert commands(make(stage(axis, "{w.start:%H%Z}"))) == ["01CEST", "02CEST", "02CET", "03CET"]
    (said,) = problems(stage(axis, "x", "{w.start:%H}"))
    twice = "2 runs have the name `02`, for example those of w.start=2024-10-27T02:00:00+02:00, and of "
    cure = "; the clocks show that time twice: put its offset, `%z`, into the format"
    assert said.endswith(f"{twice}w.start=2024-10-27T02:00:00+01:00{cure}")
    (said,) = problems(stage(axis, "x", "{w.start:%Y}"))
    assert said.endswith("; put every axis into it")
    shift = "w = 2024-10-27T02:00:00+01:00"
    assert names(make(stage(f"{axis}\nexclude = [{{ {shift} }}]")))[1:] == [
        "2024-10-27T020000+0200", "2024-10-27T030000+0100",
    ]  # fmt: skip
    assert len(names(make(stage(f"{axis}\nexclude = [{{ w = 2024-10-27T02:00:00 }}]")))) == 2  # both


def test_hours_pass_over_the_hour_that_is_left_out() -> None:
    found = starts(f'from = 2024-03-31T01:00:00, to = 2024-03-31T04:00:00, every = "1 hour", {ZURICH}')
    assert found == ["2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00", "2024-03-31T04:00:00+02:00"]
    found = starts(f'from = 2024-03-30T02:30:00, to = 2024-04-01T12:00:00, every = "1 day", {ZURICH}')
    assert found == ["2024-03-30T02:30:00+01:00", "2024-03-31T03:30:00+02:00", "2024-04-01T02:30:00+02:00"]


def test_a_day_that_the_clocks_leave_out_is_no_window(make: Make, problems: Problems) -> None:
    apia = 'from = 2011-12-29T00:00:00, to = 2012-01-01T00:00:00, every = "1 day", tz = "Pacific/Apia"'
    days = ["2011-12-29T000000-1000", "2011-12-31T000000+1400", "2012-01-01T000000+1400"]
    assert names(make(stage(f"w = {{ {apia} }}"))) == days
    for one, two in pairwise(read(apia)):
        assert one.start < one.end == two.start
    overlapping = read(f'{apia}, span = "2 days"')
    assert [w.end.isoformat()[:10] for w in overlapping] == ["2011-12-31", "2012-01-02", "2012-01-03"]
    gone = 'from = 2011-12-30T00:00:00, to = 2011-12-31T00:00:00, every = "1 week", span = "1 day", tz = "Pacific/Apia"'
    (said,) = problems(stage(f"w = {{ {gone} }}"))
    assert said.endswith("matrix.w: the clocks of `tz` leave out every window")


def test_an_offset_says_which_of_two_hours_is_meant() -> None:
    for offset in ("+02:00", "+01:00"):
        first, *_ = starts(
            f'from = 2024-10-27T02:30:00{offset}, to = 2024-10-29T00:00:00Z, every = "1 day", {ZURICH}'
        )
        assert first == f"2024-10-27T02:30:00{offset}"


def test_an_offset_is_brought_into_the_zone() -> None:
    assert starts(f'from = 2024-03-30T23:00:00Z, to = 2024-03-31T23:00:00Z, every = "1 day", {ZURICH}') == [
        "2024-03-31T00:00:00+01:00",
        "2024-04-01T00:00:00+02:00",
    ]


@pytest.mark.parametrize(
    ("start", "to", "expected"),
    [
        ("2012-01-01T00:00:00+01:00", "2012-02-29T23:30:00-05:00", 3),  # which is in March already
        ("2012-01-01T00:00:00+01:00", "2012-03-01T00:30:00+02:00", 2),  # which is in February still
        ("2012-01-31T00:00:00+01:00", "2012-03-30T23:00:00Z", 3),
    ],
)
def test_months_end_by_the_offset_of_their_start(start: str, to: str, expected: int) -> None:
    assert len(read(f'from = {start}, to = {to}, every = "1 month"')) == expected


def test_months_in_a_zone() -> None:
    axis = f'from = 2024-01-31T12:00:00, to = 2024-04-30T12:00:00, every = "1 month", {ZURICH}'
    found = read(axis)
    assert [w.start.isoformat() for w in found] == [
        "2024-01-31T12:00:00+01:00", "2024-02-29T12:00:00+01:00", "2024-03-31T12:00:00+02:00", "2024-04-30T12:00:00+02:00",
    ]  # fmt: skip
    assert [w.end for w in found[:-1]] == [w.start for w in found[1:]]


@pytest.mark.parametrize(
    ("axis", "last", "count"),
    [
        ('from = 2024-10-20, to = "today", every = "1 day"', "2024-10-27", 8),
        ('from = 2024-10-20, to = "yesterday", every = "1 day"', "2024-10-26", 7),
        ('from = 2024-10-20, to = "now", every = "1 day"', "2024-10-27", 8),
        ('from = 2024-10-20, to = "today", every = "1 day", tz = "Pacific/Kiritimati"', "2024-10-28", 9),
        (f'from = 2024-10-26T00:00:00, to = "today", every = "1 hour", {ZURICH}', "2024-10-27T00:00:00+02:00", 25),
        (f'from = 2024-10-26T00:00:00, to = "yesterday", every = "1 hour", {ZURICH}', "2024-10-26T00:00:00+02:00", 1),
        (f'from = 2024-10-27T00:00:00, to = "now", every = "1 hour", {ZURICH}', "2024-10-27T13:00:00+01:00", 15),
        ('from = 2024-10-27T00:00:00+05:00, to = "now", every = "1 hour"', "2024-10-27T17:00:00+05:00", 18),
        ('from = 2024-10-27T00:00:00+14:00, to = "today", every = "1 hour"', "2024-10-28T00:00:00+14:00", 25),
    ],
)  # fmt: skip
def test_up_to_today(axis: str, last: str, count: int) -> None:
    found = starts(axis)
    assert (found[-1], len(found)) == (last, count)


@pytest.fixture
def far_east() -> Iterator[None]:
    """A machine in a zone of its own."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_without_a_zone_today_is_that_of_the_machine() -> None:
    assert starts('from = 2024-10-20, to = "today", every = "1 day"')[-1] == "2024-10-28"
    assert starts('from = 2024-10-28T00:00:00, to = "now", every = "1 hour"')[-1] == "2024-10-28T02:00:00"
    assert (
        starts('from = 2024-10-27T00:00:00Z, to = "now", every = "1 hour"')[-1] == "2024-10-27T12:00:00+00:00"
    )


@pytest.mark.usefixtures("far_east")
def test_seconds_are_those_of_the_value_not_of_the_machine(make: Make, problems: Problems) -> None:
    batch = make(stage("d = [1970-01-02T00:00:00Z, 1970-01-01T23:00:00-01:00]", "{d:%s %%s %H%%}", "{d:%H}"))
    assert commands(batch) == ["'86400 %s 00%'", "'86400 %s 23%'"]
    for naive in ("1970-01-02T00:00:00", "1970-01-02"):
        (said,) = problems(stage(f"d = [{naive}]", "{d:%s}"))
        assert said.endswith("needs a date-time with an offset, or `tz` of a window")


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ('from = 2024-01-01, to = 2024-01-02, every = "1 day", tz = "Europe/Zürich"', "tz: no time zone \"Europe/Zürich\"; did you mean `Europe/Zurich`?"),
        ('from = 2024-01-01, to = 2024-01-02, every = "1 day", tz = "CEST?"', 'tz: no time zone "CEST?"'),
        ('from = 2024-01-01, to = 2024-01-02, every = "1 day", tz = "../etc/passwd"', 'tz: no time zone "../etc/passwd"'),
        ('from = 2024-01-01, to = 2024-01-02, every = "1 day", tz = "Europe"', 'tz: no time zone "Europe"'),
        ('from = 2024-01-01, to = 2024-01-02, every = "1 day", tz = ""', 'tz: no time zone ""; zones have names such as "Europe/Zurich"'),
        ('from = 2024-01-01, to = 2024-01-02, every = "1 day", tz = 1', 'tz: expected the name of a time zone, such as "Europe/Zurich", found 1'),
        ('from = 2024-01-01, to = "tomorrow", every = "1 day"', 'to: expected a date or a date-time without quotes, "today", "yesterday" or "now", found "tomorrow"'),
        ('from = "today", to = 2024-01-02, every = "1 day"', 'from: expected a date or a date-time without quotes, found "today"'),
        ('from = 9999-01-01, to = "today", every = "1 day"', "to: today is 20"),
        (f'from = 2024-01-01T00:00:00, to = 2024-01-01T00:00:00Z, every = "1 day", {ZURICH}', "to: expected a date-time as in `from`, found a date-time with an offset"),
        (f'from = 2024-01-01, to = "now", every = "1 hour", {ZURICH}', "every: expected days, weeks, months or years"),
        ('from = 1000-01-01T00:00:00, to = "now", every = "1 minute"', "a matrix has at most 10,000,000 combinations, this axis alone 5"),
        (f'from = 9999-12-31T00:00:00, to = 9999-12-31T00:00:00, every = "1 day", {ZURICH}', "the windows go past the year 9999"),
    ],
)  # fmt: skip
def test_bad_windows(problems: Problems, axis: str, said: str) -> None:
    (found,) = problems(stage(f"w = {{ {axis} }}"))
    assert found.partition(": ")[2].startswith("runs.s.matrix.w"), found
    assert said in found, found


def test_a_window_may_end_beyond_the_last_start(make: Make) -> None:
    axis = 'w = { from = 9998-01-01, to = 9999-06-01, every = "1 year", span = "1 day" }'
    assert commands(make(stage(axis, "{w.start}"))) == ["9998-01-01", "9999-01-01"]


ZONES = [
    "Europe/Zurich",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "UTC",
]
instants = st.datetimes(datetime(2023, 1, 1), datetime(2025, 1, 1)).map(
    lambda when: when.replace(microsecond=0)
)
lengths = st.tuples(st.integers(1, 3), st.sampled_from(["hour", "day", "week", "month"])).map(
    lambda one: f"{one[0]} {one[1]}s"
)


@given(st.sampled_from(ZONES), instants, lengths)
def test_windows_of_a_zone_follow_each_other(name: str, start: datetime, every: str) -> None:
    zone, length = ZoneInfo(name), parse_length(every)
    found = windows(start, start + timedelta(days=400 if "hour" not in every else 40), length, length, zone)
    for one, two in pairwise(found):
        assert one.start < one.end == two.start
        if length.time:
            assert two.start - one.start == length.time
    shown = [w.start.astimezone(zone).isoformat() for w in found]  # type: ignore[attr-defined]
    assert shown == [w.start.isoformat() for w in found]
