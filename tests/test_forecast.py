"""How long runs will take, from what the store has of completed ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pydoit_sc.batch import Run, Stage
from pydoit_sc.batchfile import load
from pydoit_sc.forecast import Estimate, Forecast
from pydoit_sc.ledger import Ledger
from pydoit_sc.store import Record

STAGES = """\
[batch]
remote_output_path = "out"
[runs.fit]
cmd = "fit"
name = "{model}-{day}"
matrix = { model = ["small", "large"], day = { range = [0, 20] } }
[runs.check]
cmd = "check"
after = ["fit"]
slots = 2
"""


def _took(seconds: float, code: int = 0) -> Record:
    return Record(code, "x-1", started=1000.0, ended=1000.0 + seconds)


def _ledger(folder: Path, records: dict[str, Record]) -> Ledger:
    (folder / "batchfile.toml").write_text(STAGES)
    return Ledger(load(folder / "batchfile.toml"), records)


def _find(ledger: Ledger, name: str) -> tuple[Stage, Run]:
    return next((stage, run) for stage, run in ledger.batch.runs() if run.name == name)


def _known(days: int) -> dict[str, Record]:
    randomly = random.Random(1)
    return {
        f"fit/{model}-{day}": _took(seconds * randomly.uniform(0.9, 1.1))
        for model, seconds in (("small", 10.0), ("large", 100.0))
        for day in range(days)
    }


def test_its_own_then_those_with_its_axis_value_then_the_stage(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, {**_known(6), "fit/small-0": _took(77.0)})
    forecast = Forecast(ledger)
    assert forecast.seconds(*_find(ledger, "small-0")) == 77.0
    assert forecast.seconds(*_find(ledger, "small-19")) == pytest.approx(10, rel=0.1)
    assert forecast.seconds(*_find(ledger, "large-19")) == pytest.approx(100, rel=0.1)
    assert forecast.seconds(*_find(ledger, "check")) is None
    assert forecast.durations == 12
    # Nothing is known of one of the two values: the median of the stage.
    ledger = _ledger(tmp_path, {f"fit/small-{day}": _took(day + 1) for day in range(5)})
    assert Forecast(ledger).seconds(*_find(ledger, "large-19")) == 3.0


def test_an_axis_that_tells_nothing_is_not_heeded(tmp_path: Path) -> None:
    """Each value of `day` has one run or two, which lie near each other by chance."""
    randomly = random.Random(9)
    known = [f"fit/small-{day}" for day in range(20)] + [f"fit/large-{day}" for day in range(16)]
    ledger = _ledger(tmp_path, {key: _took(randomly.lognormvariate(0, 1)) for key in known})
    assert len({Forecast(ledger).seconds(*_find(ledger, f"large-{day}")) for day in range(16, 20)}) == 1


def test_failures_and_foreign_outcomes_say_nothing(tmp_path: Path) -> None:
    records = {"fit/small-0": _took(1.0, 1), "fit/small-1": Record(0), "fit/small-2": _took(5.0)}
    ledger = _ledger(tmp_path, records)
    forecast = Forecast(ledger)
    assert [forecast.seconds(*_find(ledger, f"small-{n}")) for n in range(3)] == [5.0, 5.0, 5.0]
    assert forecast.durations == 1


def test_a_large_store_is_looked_at_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydoit_sc.forecast._MOST", 8)
    ledger = _ledger(tmp_path, {**_known(16), "check": _took(3.0)})
    forecast = Forecast(ledger)
    assert forecast.seconds(*_find(ledger, "check")) == 3.0  # of a small stage all is looked at
    assert forecast.seconds(*_find(ledger, "large-19")) == pytest.approx(100, rel=0.1)
    assert 5 <= forecast.durations <= 11


def _estimate(ledger: Ledger, limit: float | None = None) -> Estimate:
    estimate = Estimate(Forecast(ledger), limit)
    for stage, run in ledger.batch.runs():
        estimate.add(stage, run)
    return estimate


def test_the_end_and_the_hours(tmp_path: Path) -> None:
    records = {run.key: _took(600.0) for _, run in _ledger(tmp_path, {}).batch.runs()}
    estimate = _estimate(_ledger(tmp_path, records))
    # 40 runs of 10 minutes, and one on two slots after them.
    expected = estimate.expected(4, "with 4 at once", "core-hours")
    assert expected.lines == ["about 1.8 h with 4 at once, 7 core-hours (from 41 past durations)"]
    assert expected.figures == {"seconds": 6300.0, "slot_hours": 7.0, "past_durations": 41, "too_long": []}
    # Whatever the number of machines, one stage comes after the other.
    many = estimate.expected(1000, "on 10 machines", "core-hours")
    assert many.words == "about 20 min on 10 machines, 7 core-hours (from 41 past durations)"
    assert estimate.expected(None, "", "GPU-hours").words == "7 GPU-hours (from 41 past durations)"


def test_runs_of_which_nothing_is_known_count_as_the_others(tmp_path: Path) -> None:
    estimate = Estimate(Forecast(_ledger(tmp_path, {"fit/small-0": _took(600.0)})))
    for name in ("small-0", "check"):
        estimate.add(*_find(_ledger(tmp_path, {}), name))
        assert estimate.is_known
    assert estimate.expected(1, "", "core-hours").seconds == 1200.0


def test_nothing_is_told_of_what_is_not_known(tmp_path: Path) -> None:
    assert not _estimate(_ledger(tmp_path, {})).is_known
    estimate = Estimate(Forecast(_ledger(tmp_path, {"check": _took(600.0)})))
    for name in ("small-0", "large-0", "check"):
        estimate.add(*_find(_ledger(tmp_path, {}), name))
    assert not estimate.is_known
    few = _estimate(_ledger(tmp_path, {"fit/small-0": _took(0.1)}))
    assert few.expected(1, "with 1 at once", "core-hours").lines == []  # a matter of seconds


def test_runs_that_no_job_has_the_time_for(tmp_path: Path) -> None:
    estimate = _estimate(_ledger(tmp_path, {**_known(20), "fit/small-3": _took(7200.0)}), limit=110.5)
    assert estimate.expected(None, "", "core-hours").warning == (
        "1 run takes longer than the 1:50 that a job has for its runs; the longest is fit:small-3, about 2 h"
    )
    late = _estimate(_ledger(tmp_path, _known(20)), limit=101.0).expected(None, "", "core-hours")
    names = late.figures["too_long"]
    assert isinstance(names, list)
    assert 1 < len(names) < 20
    assert all(name.startswith("fit:large-") for name in names)
    estimate = _estimate(_ledger(tmp_path, _known(20)), limit=50.0)
    assert estimate.expected(None, "", "core-hours").warning.startswith("20 runs take longer")
