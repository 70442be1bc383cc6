"""Which runs would execute, and why: nothing but values in and out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.batch import Batch, Settings, Share, Status, failure_budget
from pydoit_sc.ledger import Ledger
from pydoit_sc.parts import in_order
from pydoit_sc.plan import plan
from pydoit_sc.store import Record
from pydoit_sc.verdicts import FORCED, NEW, NO_CODE, UP_TO_DATE, Verdict, count, judge, waiting
from tests.stages import batch, batches, stage


def execute(ledger: Ledger, keys: Iterable[str] | None = None) -> None:
    """Publish runs in the order of the stages, as a worker does: each with its fingerprint at that time."""
    for item in in_order(ledger.batch.stages):
        for run in item.runs:
            if keys is None or run.key in keys:
                attempt = f"{run.key}-{len(ledger.records)}-{ledger.records.get(run.key)}"
                ledger.publish(run, Record(0, attempt, ledger.fingerprint(run)))


def reasons(ledger: Ledger, *, always: bool = False) -> dict[str, str]:
    planned = plan(ledger, ledger.batch.stages, always=always)
    return {item.run.key: item.verdict.words for item in planned if item.verdict.execute}


NOW = "1-2-3-4"


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (None, NEW),
        (Record(None), NO_CODE),
        (Record(0, "a", NOW), UP_TO_DATE),
        (Record(0), UP_TO_DATE),  # as `sc batch` leaves it
        (Record(7, "a", NOW), Verdict(Status.ERROR, "status code 7")),
        (Record(0, "a", "9-2-3-4"), Verdict(Status.STALE, "the command has changed")),
        (Record(0, "a", "1-9-3-4"), Verdict(Status.STALE, "shell or env has changed")),
        (Record(0, "a", "1-2-9-4"), Verdict(Status.STALE, "a file_dep has changed")),
        (Record(0, "a", "1-2-3-9"), Verdict(Status.STALE, "the earlier runs have changed")),
        (
            Record(0, "a", "9-9-3-4"),
            Verdict(Status.STALE, "the command has changed, shell or env has changed"),
        ),
    ],
)
def test_judge(record: Record | None, verdict: Verdict) -> None:
    assert judge(NOW, record) == verdict
    assert verdict.execute == (verdict is not UP_TO_DATE)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (UP_TO_DATE, Status.STALE),
        (FORCED, Status.STALE),
        (NEW, Status.INCOMPLETE),
        (Verdict(Status.ERROR, "status code 7"), Status.INCOMPLETE),
    ],
)
def test_waiting(verdict: Verdict, status: Status) -> None:
    assert waiting(verdict, "x:2", "failed") == Verdict(status, "waits for", "x:2 (failed)")


def test_new_then_up_to_date() -> None:
    ledger = Ledger(batch(stage("a"), stage("b", 1, "a")), {})
    assert reasons(ledger) == dict.fromkeys(["a/0", "a/1", "b/0"], "no outcome yet")
    execute(ledger)
    assert reasons(ledger) == {}
    assert reasons(ledger, always=True) == {
        "a/0": "forced",
        "a/1": "forced",
        "b/0": "an earlier run is to be executed: a:0",
    }


def test_what_comes_after() -> None:
    chain = batch(stage("c", 1, "b"), stage("a"), stage("b", 1, "a"), stage("d"))
    ledger = Ledger(chain, {})
    execute(ledger)
    del ledger.records["a/1"]
    assert list(reasons(ledger)) == ["a/1", "b/0", "c/0"]
    ledger = Ledger(chain, ledger.records)
    execute(ledger, ["a/1"])
    assert reasons(ledger) == {
        "b/0": "the earlier runs have changed",
        "c/0": "an earlier run is to be executed: b:0",
    }
    execute(ledger, ["b/0", "c/0"])
    assert reasons(ledger) == {}


def test_a_run_that_joins_or_leaves_an_earlier_stage() -> None:
    ledger = Ledger(batch(stage("a", 2), stage("b", 1, "a")), {})
    execute(ledger)
    fewer = Ledger(batch(stage("a", 1), stage("b", 1, "a")), ledger.records)
    assert reasons(fewer) == {"b/0": "the earlier runs have changed"}
    more = Ledger(batch(stage("a", 3), stage("b", 1, "a")), ledger.records)
    assert list(reasons(more)) == ["a/2", "b/0"]


def test_a_run_whose_earlier_run_was_forgotten_waits_for_it() -> None:
    ledger = Ledger(batch(stage("a"), stage("b", 1, "a")), {})
    execute(ledger)
    del ledger.records["a/1"]
    assert reasons(ledger)["b/0"] == "an earlier run is to be executed: a:1"
    ledger.records["b/0"] = ledger.records["b/0"]._replace(fingerprint="9-0-0-9")
    assert reasons(ledger)["b/0"] == "the command has changed, an earlier run is to be executed: a:1"
    (alone,) = plan(ledger, [ledger.batch.stages[1]])
    assert alone.verdict.words == "the command has changed, the earlier runs have changed"


def test_a_part_of_the_stages() -> None:
    ledger = Ledger(batch(stage("a"), stage("b", 1, "a")), {})
    (only,) = plan(ledger, [ledger.batch.stages[1]])
    assert only.run.key == "b/0"


def test_file_dep(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1")
    one = batch(stage("a", 1, settings=Settings(file_dep=("in",))), folder=tmp_path)
    ledger = Ledger(one, {})
    execute(ledger)
    (tmp_path / "in").write_text("2")
    assert reasons(ledger) == {}  # it is read once
    ledger.reread_files()
    assert reasons(ledger) == {"a/0": "a file_dep has changed"}
    (tmp_path / "in").unlink()
    missing = Ledger(one, ledger.records).verdict(one.stages[0], one.stages[0].runs[0])
    assert (missing.status, missing.execute) == (Status.STALE, True)
    assert "file_dep `in` matches no file" in missing.reason
    fresh = Ledger(one, {}).verdict(one.stages[0], one.stages[0].runs[0])
    assert fresh.status is Status.INCOMPLETE


@pytest.mark.parametrize(
    ("bound", "budget"),
    [(None, None), (3, 3), (Share(0.5), 5), (Share(0.001), 1), (Share(0.0), 1), (Share(1.0), 10)],
)
def test_failure_budget(bound: int | Share | None, budget: int | None) -> None:
    assert failure_budget(bound, batch(stage("a", 7), stage("b", 3)).size) == budget


def test_count_puts_the_most_frequent_first() -> None:
    ledger = Ledger(batch(stage("a", 3)), {"a/0": Record(1)})
    counts = count(item.verdict for item in plan(ledger, ledger.batch.stages))
    assert list(counts.items()) == [(NEW, 2), (Verdict(Status.ERROR, "status code 1"), 1)]
    assert FORCED not in counts


@given(batches(), st.data())
def test_executing_what_is_planned_leaves_nothing_to_plan(of: Batch, data: st.DataObject) -> None:
    ledger = Ledger(of, {})
    execute(ledger)
    assert reasons(ledger) == {}
    keys = sorted(ledger.records)
    lost = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    for key in lost:
        del ledger.records[key]
    ledger = Ledger(of, ledger.records)
    planned = set(reasons(ledger))
    assert lost <= planned
    execute(ledger, planned)
    assert reasons(ledger) == {}
