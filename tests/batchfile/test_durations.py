"""Durations as people write them."""

from __future__ import annotations

import pytest

from pydoit_sc.batchfile import parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90), ("10m", 600), ("2h", 7200), ("1.5 h", 5400), ("1 day", 86400), ("2 Weeks", 1209600), ("1h 30m", 5400),
        ("1h30m", 5400), (" 5 min ", 300), ("30", 30), (30, 30), (0.5, 0.5), (0, 0), ("0s", 0),
    ],
)  # fmt: skip
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "fast", "1 month", "-1s", -1, "1h 30", "1..5h", "1 2", "h", "1e3", True, None, [1], float("nan"), float("inf"),
     "101 years", "99999 days", 10**400, "9" * 400],
)  # fmt: skip
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match=r'a duration such as "90s", "10m", "1.5 h" or "1 day"'):
        parse_duration(written)
