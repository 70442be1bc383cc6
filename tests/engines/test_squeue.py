"""What is read from `squeue`."""

from __future__ import annotations

import pytest

from pydoit_sc.engines.base import JobState, State
from pydoit_sc.engines.squeue import read_commands, read_squeue


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ("", JobState(State.ENDED)),
        ("8_0|RUNNING|None", JobState(State.ENDED)),
        ("7_[1-3%2]|PENDING|Priority", JobState(State.QUEUED, "Priority")),
        ("7_[1-3]|PENDING|Priority\n7_0|RUNNING|None", JobState(State.RUNNING)),
        ("7_0|COMPLETING|None", JobState(State.RUNNING)),
        ("7_[0-1]|PENDING|JobHeldUser", JobState(State.HELD, held="JobHeldUser")),
        ("7_0|PENDING|launch_failed_requeued_held", JobState(State.HELD, held="launch_failed_requeued_held")),
        ("7_0|PENDING|JobHeldAdmin\n7_1|RUNNING|None", JobState(State.RUNNING, held="JobHeldAdmin (some of its tasks)")),
        ("7_0|PENDING|JobHeldAdmin\n7_1|PENDING|Resources",
         JobState(State.QUEUED, "Resources", "JobHeldAdmin (some of its tasks)")),
        ("7|PENDING|Nodes required for job are DOWN, DRAINED or reserved | for jobs",
         JobState(State.QUEUED, "Nodes required for job are DOWN, DRAINED or reserved | for jobs")),
    ],
)  # fmt: skip
def test_what_squeue_says(lines: str, state: JobState) -> None:
    text = "".join(f"{line}\t/a|b/job.sh 0\n" for line in lines.splitlines())
    assert read_squeue(text, ["7"]) == {"7": state}


def test_the_scripts() -> None:
    """One of others may have tabs and newlines in its name."""
    text = "7_[1-3]|PENDING|a | b\t/a|b/job.sh 0\n8|RUNNING|None\t/x\ty\n9\tz 0\n"
    assert read_commands(text) == {"7": "/a|b/job.sh 0", "8": "/x\ty"}
    assert read_squeue(text, ["8", "9"]) == {"8": JobState(State.RUNNING), "9": JobState(State.ENDED)}
