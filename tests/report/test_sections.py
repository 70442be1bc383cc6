"""What the sections of a report count."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoit_sc.batch import Axes, Stage, Status
from pydoit_sc.report.heat import axes_of, ending
from pydoit_sc.report.levels import columns_of, levels_of
from pydoit_sc.report.overview import overview
from pydoit_sc.report.page import About, page
from pydoit_sc.report.reported import report_of
from pydoit_sc.report.scale import Clock
from pydoit_sc.report.spread import spread
from pydoit_sc.report.timeline import drawn, lanes_of
from pydoit_sc.report.workers import workers_of
from pydoit_sc.show.standings import WORDS
from pydoit_sc.store import Record
from tests.report.values import BEGUN, read_page, reported, unpack


def test_workers_are_idle_between_their_runs() -> None:
    runs = [
        reported("1", 0, 10),
        reported("2", 20, 10),  # rank 0 waits for 10 s
        reported("3", 0, 30, rank=1),
        reported("4", 5, 10, worker="w2", rank=2, slots=2),
    ]
    workers = workers_of(runs)
    one, two = workers["w1"], workers["w2"]
    assert (one.size, one.length, one.busy, one.idle, one.runs) == (2, 30, 50, 10, 3)
    assert (two.size, two.length, two.busy, two.idle) == (2, 10, 20, 0)
    assert one.idle_share == 10 / 60


def test_what_anybody_may_have_written_of_times_and_ranks_is_no_trouble() -> None:
    odd = [
        *(reported(str(rank), rank=rank) for rank in (-1, 10**30)),
        *(reported("", start) for start in (-2 * BEGUN, 1e300, float("nan"), float("inf"))),
        *(reported("", 0, seconds) for seconds in (-1, 1e200, float("nan"))),
        *(reported("", cpu=cpu) for cpu in (-1, float("nan"), float("inf"), 1e300)),
        reported("", memory=-7),
    ]
    assert [one.lane.rank for one in odd if one.start] == [0] * 7
    assert {one.cpu for one in odd if one.start} == {0.0, 10.0}
    assert {one.memory for one in odd} == {0}
    assert not report_of(odd[0].stage, odd[0].run, Status.ERROR, Record(7)).start


def test_short_runs_are_drawn_together() -> None:
    runs = [
        *(reported(str(i), i, 0.5) for i in range(10)),
        *(reported(f"failed{i}", i + 0.5, 0.1, code=1) for i in range(10)),
        reported("long", 11, 89),
    ]
    clock = Clock((one.start, one.end) for one in runs)
    found = drawn(runs, clock, 0.05)
    assert [(one.first.run.name, one.runs) for one in found] == [
        ("0", 5), ("5", 5), ("long", 1), ("failed0", 5), ("failed5", 5),
    ]  # fmt: skip
    assert [found[0].right, found[0].busy] == pytest.approx([0.045, 0.025])
    assert len(drawn(runs, clock, 0.001)) == len(runs)


def test_lanes_are_in_the_order_of_workers_and_ranks() -> None:
    runs = [
        reported("late", 9, worker="a"),
        reported("b", 0, rank=1),
        reported("a", 1, rank=0),
        reported("c", 2),
    ]
    lanes = lanes_of(runs, workers_of(runs))
    assert [(lane, [one.run.name for one in members]) for lane, members in lanes.items()] == [
        (("w1", 0), ["a", "c"]), (("w1", 1), ["b"]), (("a", 0), ["late"]),
    ]  # fmt: skip


def test_quantiles() -> None:
    assert spread("x", [0, 0]) is None
    found = spread("x", [*range(101)])
    assert found and (found.count, found.low, found.middle, found.high, found.most) == (100, 5, 50, 95, 100)
    alone = spread("x", [7])
    assert alone and (alone.low, alone.middle, alone.most) == (7, 7, 7)


def test_axes_are_those_that_differ_and_time_goes_across() -> None:
    values: list[Axes] = [
        {"day.start": f"2022-01-{i % 30 + 1:02}", "model": "ab"[i % 2], "same": 1, "big": i > 9}
        for i in range(60)
    ]
    stage = Stage("fit", [], axes=values.__getitem__)
    runs = [
        one._replace(stage=stage, run=one.run._replace(position=i))
        for i, one in enumerate(reported(str(i)) for i in range(60))
    ]
    columns = dict(columns_of(runs))
    assert list(columns) == ["day", "model", "big"]
    assert set(columns.pop("big")) == {"false", "true"}  # as `--where` has them
    ((across, down),) = axes_of(columns, 60)
    assert (across.axis, down.axis) == ("day", "model")
    assert (len(across.labels), across.labels[0], down.labels) == (30, "2022-01-01", ["a", "b"])
    ((across, down),) = axes_of({"day": columns["day"]}, 60)
    assert down.labels == [""]
    assert list(axes_of({"model": columns["model"]}, 60)) == []
    assert list(axes_of({}, 60)) == []


def test_ids_are_no_axis_of_a_chart() -> None:
    assert levels_of("id", [f"id{i}" for i in range(100)], 24) is None
    found = levels_of("n", [str(i) for i in range(100)], 24)
    assert found and (len(found.labels), found.labels[:2]) == (20, ["0 … 4", "5 … 9"])


def test_what_is_wrong_counts_most_in_a_cell() -> None:
    done, failed = reported(), reported(code=1)
    stale, incomplete = (done._replace(status=status) for status in (Status.STALE, Status.INCOMPLETE))
    assert ending([done]) == "completed"
    assert ending([done, stale]) == "stale"
    assert ending([done, stale, stale, incomplete]) == "stale"
    assert ending([done, incomplete]) == "unknown"
    assert [ending([done] * n + [failed]) for n in (19, 4, 1, 0)] == ["f0", "f1", "f2", "f4"]
    assert ending([failed, failed, incomplete]) == "f3"


def test_the_overview_counts() -> None:
    runs = [reported("1", 0, 3600), reported("2", 3600, 3600, code=1), reported("3", 0, 3600, rank=1)]
    page = read_page(overview(runs, Clock((one.start, one.end) for one in runs), workers_of(runs)).encode())
    text = "|".join(page.texts)
    assert "|2|completed|67 %|1|failed|33 %|" in text
    assert "|Runs with an outcome|3 of 3|" in text
    assert "|Time|2:00:00|" in text
    assert "|Ranks|3:00:00 busy, 1:00:00 idle (25 %)|" in text
    assert "|Time if no rank had been idle|1:30:00|" in text
    assert "|Executed by|1 machine, 1 worker|Machine-hours|2|CPU-hours|3|" in text


ODD = st.floats() | st.sampled_from([0.0, BEGUN, -BEGUN, 3e10, 5e-324])
RECORDS = st.builds(
    Record,
    code=st.none() | st.integers(0, 255),
    attempt=st.sampled_from(["", "-", "w1-1", "w2-1"]),
    reason=st.text(max_size=3),
    started=ODD,
    ended=ODD | st.just(BEGUN + 0.001),
    host=st.text(max_size=3),
    memory=st.integers(-(1 << 64), 1 << 63),
    rank=st.none() | st.integers(-3, 1 << 70),
    cpu=ODD,
)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from([*WORDS]), st.none() | RECORDS), min_size=1, max_size=6))
def test_no_outcome_is_too_odd_for_a_page(found: list[tuple[Status, Record | None]]) -> None:
    kept = reported(axes={"day": "2022-01-01"})
    runs = [
        report_of(kept.stage, kept.run._replace(name=str(i), key=f"fit/{i}"), status, record)
        for i, (status, record) in enumerate(found)
    ]
    data = page(About("b", "file:///o", "", BEGUN, "run"), runs, [])
    assert len(unpack(data)["Run"]) == len(found)
    assert "nan" not in (text := data.partition(b'id="packed"')[0].decode()) and "inf" not in text
