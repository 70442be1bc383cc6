"""When failures end a batch: their number, or that so many are alike and no run is completed."""

from __future__ import annotations

from pydoit_sc.outcomes.failures import ALIKE, OPTION, Failures
from pydoit_sc.store.layout import Record

NOT_FOUND = Record(127, "a-1")


def fail(
    failures: Failures, count: int, tail: bytes = b"sh: 1: x: not found", record: Record = NOT_FOUND
) -> bool:
    """Let so many runs fail, and return whether no further one is to be started."""
    for n in range(count):
        failures.add()
        failures.see(f"a:{n}", record, tail)
    return failures.too_many


def test_the_number_that_is_allowed() -> None:
    failures = Failures(2)
    assert not fail(failures, 1)
    assert fail(failures, 1)
    assert failures.why() == "stopped after 2 failures (`max_failures`)"
    assert not fail(Failures(10_000), 5_000)  # all alike: the user has said so


def test_so_many_are_alike_and_none_is_completed() -> None:
    failures = Failures(None)
    assert not fail(failures, ALIKE - 1)
    assert fail(failures, 1)
    assert failures.why() == (
        "stopped: 20 runs failed in the same way and none has completed: command not found (127), `sh: 1: x: not found`; "
        'set `max_failures` to "100%" beside the runs to continue anyway'
    )
    assert failures.why(remedy=OPTION).endswith("; use --max-failures 100% to continue anyway")


def test_what_differs_from_run_to_run_makes_no_other_kind() -> None:
    failures = Failures(None)
    for n in range(ALIKE):
        assert not failures.too_many
        failures.see(f"a:{n}", Record(1), b"no such file: data/%d.csv\n" % n)
    assert failures.too_many


def test_a_completed_run_shows_that_the_others_may_be_completed() -> None:
    failures = Failures(None)
    fail(failures, ALIKE - 1)
    failures.see("a:x", Record(0), b"")
    assert not fail(failures, 10 * ALIKE)
    other = Failures(None)
    other.see_other(NOT_FOUND)
    assert other.compares
    other.see_other(Record(0))
    assert not fail(other, 10 * ALIKE)
    before = Failures(None)
    before.has_completed()
    assert not fail(before, 10 * ALIKE)


def test_failures_of_many_kinds_end_nothing() -> None:
    failures = Failures(None)
    for n in range(ALIKE - 1):
        fail(failures, ALIKE - 1, record=Record(1 + n))
    assert failures.compares
    fail(failures, 2 * ALIKE, b"".join(b"%c" % (97 + n) for n in range(20)), Record(77, "", "", "", ""))
    assert failures.too_many
    many = Failures(None)
    for n in range(25 * ALIKE):
        many.see("a", Record(1 + n % 255), b"x")
    assert not many.too_many
    assert not many.compares  # what is remembered is bounded


def test_what_is_shown_of_a_line_is_bounded_and_harmless() -> None:
    failures = Failures(None)
    fail(failures, ALIKE, b"\x1b]52;c;x\x07" + b"x" * 1000)
    assert "\x1b" not in failures.why()
    assert len(failures.why()) < 300
