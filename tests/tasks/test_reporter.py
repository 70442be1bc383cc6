"""What `run` shows on a terminal."""

from __future__ import annotations

import os

import pytest
from doit.task import Task

from pydoit_sc.batch import Status
from pydoit_sc.tasks.reporter import BatchReporter
from pydoit_sc.verdicts import Verdict
from tests.terminals import Window


def test_the_bar_makes_room_for_a_task_of_a_dodo(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NO_COLOR", "CI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with Window() as window:
        reporter = BatchReporter(window.stream(), {})
        counts = {Verdict(Status.INCOMPLETE, "no outcome yet"): 2}
        reporter.reckoning.planned(counts)
        reporter.planned(counts)
        reporter.show(())
        assert window.shown()[1:] == ["─" * 40 + "  0 %  0:00", "0/2 done, 0 failed, 0 skipped, 0 running"]
        reporter.execute_task(Task("_private", ["true"]))
        os.write(window.file, b"what it says\n")
        assert window.shown() == ["2 of 2 runs to execute: 2 no outcome yet", "what it says"]
        reporter.complete_run()
