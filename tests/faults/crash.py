"""A worker that is killed at a system call, or whose machine loses its power there, and the one that follows."""

from __future__ import annotations

from collections.abc import Collection

from tests.faults import promise
from tests.faults.explore import Experiment, file_system_calls
from tests.faults.lab import FAILS, Lab, Scenario
from tests.faults.promise import Violation
from tests.faults.strace import Point

_AT_ITS_END = Point(0, "none", 0)  # nothing is injected: the worker ends by itself, and the power is cut then


def crashes(scenario: Scenario, normally: int = 0, *, power: bool = False) -> Experiment[Point]:
    """Return the experiment that kills a worker at each of its calls; with `power`, cuts the power as well."""
    return Experiment(scenario, crash, lambda lab: [*file_system_calls(lab), _AT_ITS_END], normally, power)


def crash(lab: Lab, point: Point) -> bool:
    """Kill a worker at this point, run it again, and check the promise after each; say whether it was killed there."""
    lab.fresh()
    killed = lab.work("first", point.inject("signal=KILL") if point.n else None)
    lab.cut()
    if killed.code not in (0, -9):
        raise Violation(f"the worker ended with {killed.code}: {killed.said}")
    check_and_finish(lab, must_be_finished=killed.code == 0)
    return point.n > 0 and killed.code == -9 and killed.hit(point, lab.root)


def check_and_finish(
    lab: Lab, *, must_be_finished: bool, late: Collection[str] = (), spoilt: Collection[str] = ()
) -> None:
    """After a fault: check what there is, let a worker do the rest, and check that it did just that.

    Runs that are `spoilt` have failed by the fault. Runs that are `late` may have been executed by one worker while another one published them.
    """
    runs = lab.scenario.runs
    before, executions = promise.look(lab.root, runs), lab.executions()
    promise.check_whole(before)
    promise.check_last(before, executions, late)
    if must_be_finished:
        promise.check_finished(before, runs, {FAILS, *spoilt})
    lab.age()
    again = lab.work("again")
    if again.code != 0 or again.left:
        raise Violation(f"the next worker ended with {again.code}: {again.said}")
    promise.check_clean(lab.litter())
    lab.cut()  # the worker has said that it is done, so all must be on the disk
    after, more = promise.look(lab.root, runs), lab.executions()
    promise.check_whole(after)
    promise.check_finished(after, runs, [FAILS])
    promise.check_unchanged(before, after)
    promise.check_executed(before, executions, more, "retried")
    promise.check_last(after, more, late)
