"""Problems as text, and the nearest word."""

from __future__ import annotations

from pydoit_sc.batchfile import BatchfileError, Problem, nearest


def test_nearest() -> None:
    assert nearest("timout", ["timeout", "retries"]) == "timeout"
    assert nearest("zzz", ["timeout"]) is None


def test_problems_as_text() -> None:
    assert str(Problem("f", 1, 2, "m")) == "f:1:2: m"
    assert str(Problem("f", 1, None, "m")) == "f:1: m"
    assert str(Problem("f", None, None, "m")) == "f: m"
    assert str(BatchfileError([Problem("f", 1, 2, "m")], more=1234)) == "f:1:2: m\nand 1,234 more"
