"""What becomes less is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pydoit_sc.engines.backlog import Backlog


def test_it_is_stuck_when_nothing_was_done_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    backlog = Backlog(30)

    def at(now: float) -> Callable[[int], bool]:
        monkeypatch.setattr(time, "monotonic", lambda: now)
        return backlog.is_stuck

    assert [at(1000)(9), at(1029)(9), at(1029)(8), at(1058)(8), at(1058.5)(9)] == [False] * 5
    assert at(1059)(8)
    assert not at(1060)(7)
