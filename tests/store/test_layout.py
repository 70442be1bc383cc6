"""What a status code may be is checked for every kind of store (conformance.py); here, which outcome stays."""

from __future__ import annotations

import pytest

from pydoit_sc.store import Record, stays
from pydoit_sc.store.layout import key_digest


@pytest.mark.parametrize(
    ("there", "supersedes", "expected"),
    [
        (Record(0, "a", "f"), None, True),
        (Record(0, "a", "g"), None, False),  # of another command
        (None, None, False),
        (Record(0, "a"), None, True),  # another worker has completed it since the plan was made
        (Record(0, "a"), "a", False),  # stale: the plan decided to replace it
        (Record(0, "b"), "a", True),
        (Record(0), None, True),  # `sc` has completed it, without a run.json
        (Record(0), "", False),
        (Record(1, "a"), None, False),
        (Record(None), None, False),
    ],
)
def test_a_completed_outcome_that_the_plan_did_not_know_stays(
    there: Record | None, supersedes: str | None, expected: bool
) -> None:
    assert stays(there, supersedes, "f") is expected


def test_a_key_has_the_same_digest_in_every_version_and_need_not_be_utf_8() -> None:
    assert [key_digest("run", size) for size in (8, 16)] == [
        "fb4b0d4947c68395",
        "f0ebc31c61313b7071b2a5cc6be9de19",
    ]
    assert key_digest("a\udcff", 8) == "7e337117a094d27c"
