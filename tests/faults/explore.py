"""Try a fault at many points, in two laboratories at once, and collect what breaks the promise."""

from __future__ import annotations

import os
import queue
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from tests.faults.lab import Lab, Scenario
from tests.faults.power import Disk
from tests.faults.promise import Violation
from tests.faults.strace import Point

NIGHTLY = os.environ.get("PYDOIT_SC_NIGHTLY") == "1"
SEED = int(os.environ.get("PYDOIT_SC_SEED") or (random.SystemRandom().randrange(10_000) if NIGHTLY else 1749))

#: Laboratories that are at work at the same time: a worker mostly waits, for its runs and for the disk.
SIDE_BY_SIDE = 2

#: Memory is quick, and a disk of ours may lie there; elsewhere the folder for temporary files does as well.
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Experiment(Generic[T]):
    """What is tried, and where: `points` are what may be broken, `attempt` breaks one and says whether it came to that.

    `attempt` raises Violation where the promise is broken.
    """

    scenario: Scenario
    attempt: Callable[[Lab, T], bool]
    points: Callable[[Lab], Sequence[T]]
    normally: int  # points, in the normal mode
    power: bool = False  # on a disk whose power can be cut


@dataclass(slots=True)
class Findings:
    """What came of an experiment."""

    tried: int = 0
    hit: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)


def explore(experiment: Experiment[T], *, bug: str = "") -> Findings:
    """Try every point, or in the normal mode a part of them; with a planted bug, until it shows."""
    findings, began = Findings(), time.monotonic()
    with ExitStack() as stack:
        labs = [_open_lab(stack, experiment, bug) for _ in range(SIDE_BY_SIDE)]
        left: queue.SimpleQueue[T] = queue.SimpleQueue()
        points = experiment.points(labs[0])
        for point in _shuffled(points) if bug else sample(points, experiment.normally):
            left.put(point)
        threads = stack.enter_context(ThreadPoolExecutor(SIDE_BY_SIDE))
        for ended in [threads.submit(_explore, lab, experiment, left, findings, bool(bug)) for lab in labs]:
            ended.result()
    findings.seconds = time.monotonic() - began
    return findings


def sample(items: Sequence[T], normally: int) -> list[T]:
    """Return all in the nightly mode; else every so many-th, about `normally` of them, others with each seed."""
    step = 1 if NIGHTLY else max(1, round(len(items) / normally))
    return list(items[SEED % step :: step])


def _shuffled(items: Sequence[T]) -> list[T]:
    """Return all, in no order: a bug shows at some of them, which may come late."""
    return random.Random(SEED).sample(items, len(items))


def file_system_calls(lab: Lab) -> Sequence[Point]:
    """Return every call by which a worker uses the store."""
    return lab.points()


def _open_lab(stack: ExitStack, experiment: Experiment[T], bug: str) -> Lab:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-", dir=PLACE)))
    disk = stack.enter_context(closing(Disk(folder))) if experiment.power else None
    return stack.enter_context(closing(Lab(folder, experiment.scenario, bug, disk)))


def _explore(
    lab: Lab, experiment: Experiment[T], left: queue.SimpleQueue[T], findings: Findings, until_one: bool
) -> None:
    while not (until_one and findings.violations):
        try:
            point = left.get_nowait()
        except queue.Empty:
            return
        hit = True
        try:
            hit = experiment.attempt(lab, point)
        except Violation as violation:
            findings.violations.append(f"{point}: {violation}")
        findings.tried += 1
        findings.hit += hit
