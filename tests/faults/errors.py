"""A worker one of whose system calls fails, and the one that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults import promise
from tests.faults.crash import check_and_finish
from tests.faults.explore import Experiment
from tests.faults.lab import Lab, Scenario
from tests.faults.promise import Violation
from tests.faults.strace import Point

_MAKE = ("mkdir", "rename", "renameat2")
_REMOVE = ("unlink", "unlinkat", "rmdir")
_STORE = ("write", "syncfs", "copy_file_range", "sendfile")
_READ = ("read", "getdents64", "newfstatat")
_NFS = ("close",)  # there, the data is sent when a file is closed
_CREATE = ("openat(O_CREAT)",)

#: The errors, and the calls that can return each of them.
CAN_FAIL = {
    "ENOSPC": {*_CREATE, *_MAKE, *_STORE, *_NFS},
    "EDQUOT": {*_CREATE, *_MAKE, *_STORE, *_NFS},
    "EIO": {"openat", *_MAKE, *_REMOVE, *_STORE, *_READ, *_NFS},
    "ESTALE": {"openat", *_MAKE, *_REMOVE, *_STORE, *_READ},
    "EACCES": {"openat", *_MAKE, *_REMOVE, "newfstatat"},
    "EMFILE": {"openat"},
}

#: What a run can do to its own output: in an attempt's folder it is the run's failure, not the worker's.
_A_RUNS = "EACCES"

#: How a line begins that says what is lacking, and what one has that says it of one run alone.
_COMPLAINTS, _ITS_OWN = ("ERROR: ", "1 incomplete: its outcome cannot be read: "), "stays as it is"

_COULD_NOT, _NOT_STARTED = 2, 3  # exit codes: not everything was executed, nothing was


@dataclass(frozen=True, slots=True)
class Failing:
    """A system call that fails."""

    point: Point
    error: str  # EIO


def errors(scenario: Scenario, error: str, normally: int) -> Experiment[Failing]:
    """Return the experiment that lets each call of a worker fail that can fail so."""

    def points(lab: Lab) -> Sequence[Failing]:
        return [Failing(point, error) for point in lab.points() if _kinds(point) & CAN_FAIL[error]]

    return Experiment(scenario, fail, points, normally)


def _kinds(point: Point) -> set[str]:
    return {point.call, *(["openat(O_CREAT)"] if "O_CREAT" in point.text else [])}


def fail(lab: Lab, failing: Failing) -> bool:
    """Let a call fail, run the worker again, and check the promise after each; say whether it came to that.

    The worker either copes, and all is done, or says in one line what it lacks, and ends with 2, or 3 if it has executed nothing.
    """
    lab.fresh()
    executions = lab.executions()
    first = lab.work("first", failing.point.inject(f"error={failing.error}"))
    if first.left:
        raise Violation(f"the worker left processes behind: {first.said}")
    if not first.hit(failing.point, lab.root):  # another file: a pipe of the worker's own never fails so
        return False
    allowed = (0, _COULD_NOT) if lab.executions() != executions else (0, _COULD_NOT, _NOT_STARTED)
    if first.code not in allowed:
        raise Violation(f"the worker ended with {first.code}: {first.said}")
    said = first.said.splitlines()
    complaints = [line for line in said if line.startswith(_COMPLAINTS) or _ITS_OWN in line]
    if "Traceback" in first.said or len(complaints) != (first.code != 0):
        raise Violation(f"the worker ended with {first.code} and said: {first.said}")
    spoilt = promise.spoilt(promise.look(lab.root, lab.scenario.runs))
    if spoilt and failing.error != _A_RUNS:
        raise Violation(f"the worker lacked something, and called these failed: {sorted(spoilt)}")
    check_and_finish(lab, must_be_finished=first.code == 0, spoilt=spoilt)
    return True
