"""The laboratory leaves nothing behind where a trial fails."""

from __future__ import annotations

import subprocess

import pytest

from tests.faults.promise import Violation
from tests.faults.strace import ended_tracers


def test_tracers_end_where_what_is_done_meanwhile_fails() -> None:
    with pytest.raises(Violation), ended_tracers() as tracers:
        tracers[0] = subprocess.Popen(["sleep", "60"], stderr=subprocess.PIPE, text=True)
        raise Violation("a second worker executed a run again")
    assert tracers[0].returncode is not None
    assert tracers[0].stderr and tracers[0].stderr.closed
