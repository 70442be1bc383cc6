"""A worker that is stopped at a system call while a second one does the chunk, and then goes on."""

from __future__ import annotations

import os
import signal

from tests.faults import promise
from tests.faults.crash import check_and_finish
from tests.faults.explore import Experiment, file_system_calls
from tests.faults.lab import FAILS, Lab, Scenario
from tests.faults.promise import State, Violation
from tests.faults.strace import Point


def freezes(scenario: Scenario, normally: int = 0) -> Experiment[Point]:
    """Return the experiment that stops a worker after each of its calls."""
    return Experiment(scenario, freeze, file_system_calls, normally)


def freeze(lab: Lab, point: Point) -> bool:
    """Stop a worker here, let a second one do the chunk, let the first go on; check the promise after each.

    Some runs fail for the first worker and some for the second, so that each has outcomes which the other must leave
    alone, and outcomes which it must replace. What the first holds is taken over after two seconds without a heartbeat.
    """
    lab.fresh()
    runs = lab.scenario.runs
    seen: list[tuple[State, dict[str, list[str]]]] = []

    def second(pid: int) -> None:
        try:
            ended = lab.work("second")
            state = promise.look(lab.root, runs)
            seen.append((state, lab.executions()))
        finally:
            os.kill(pid, signal.SIGCONT)
        if ended.code != 0:
            raise Violation(f"the second worker ended with {ended.code}: {ended.said}")
        promise.check_whole(state)
        promise.check_finished(state, runs, {FAILS, "early"} - promise.completed(state))

    first = lab.work("first", point.inject("signal=STOP"), second)
    if first.code != 0:
        raise Violation(f"the frozen worker ended with {first.code}: {first.said}")
    if not seen:  # it did not come so far this time, and no second worker was started
        return False
    ((state, executions),) = seen
    after = promise.look(lab.root, runs)
    promise.check_unchanged(state, after)
    # The second worker's failure is a result for the first, which has not started that run.
    promise.check_finished(after, runs, {FAILS, "early"} - promise.completed(after))
    promise.check_late(state, executions, lab.executions())
    check_and_finish(lab, must_be_finished=False, late=runs)
    return first.hit(point, lab.root)
