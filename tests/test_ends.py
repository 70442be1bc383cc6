"""How a run has failed, in words."""

from __future__ import annotations

import pytest

from pydoit_sc.ends import briefly, peak_of, reason, told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (1, "1 s"), (90, "90 s"), (600, "10 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_a_timeout_is_told_with_its_length(seconds: float, text: str) -> None:
    assert reason(timeout=seconds, killed_by=9, for_memory=True) == f"timed out after {text}"


def test_signals_and_memory() -> None:
    assert reason() == ""
    assert reason(killed_by=11) == "killed by SIGSEGV"
    assert reason(killed_by=40) == "killed by signal 40"
    assert reason(killed_by=9, peak=peak_of(3 << 30, 8 << 30)) == "killed by SIGKILL"
    peak = peak_of(5 << 30, 8 << 30)
    assert (
        reason(killed_by=9, for_memory=True, peak=peak)
        == "killed by SIGKILL, out of memory (peak 5 GiB of 8 GiB of memory)"
    )
    assert peak_of(0, float("inf")) == ""
    assert reason(for_memory=True) == "one of its processes was killed by SIGKILL, out of memory"


def test_a_code_that_may_stand_for_a_signal_is_told_with_it() -> None:
    texts = [told(code) for code in (1, 128, 143, 255, None)]
    assert texts == [
        "status code 1", "status code 128", "status code 143 (128 + SIGTERM)", "status code 255", "no status code",
    ]  # fmt: skip
    assert [briefly(code) for code in (137, None)] == ["exit 137 (128 + SIGKILL)", "no status code"]


def test_a_reason_that_anybody_may_have_written_is_one_short_line() -> None:
    shown = told(1, "a\x1b]52;c;x\x07\nb" + "x" * 5000)
    assert shown.startswith("a\\x1b]52;c;x\\x07 b")
    assert len(shown) < 400
