"""What is tried on an S3 server: each request of a worker spoiled, the network gone for good, two workers, one frozen."""

from __future__ import annotations

import os
import queue
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from tests.faults import promise
from tests.faults.explore import PLACE, SEED, Findings, sample
from tests.faults.lab import FAILS
from tests.faults.promise import Violation
from tests.faults.proxy import Fault, Point
from tests.faults.s3lab import (
    S3Lab,
    Scene,
    Server,
    Worker,
    check_and_finish,
    check_manifests,
    check_said,
    slowness,
)

#: Seconds that a worker may take, whatever becomes of one request, or of all from one on, on a machine that has nothing else to do.
ONE_FAULT, ALL_FAIL = 40.0, 120.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to try."""

    point: Point
    fault: Fault | None = None  # None: the worker is killed or frozen
    lasting: float = 0.0  # seconds, in which it comes at every request from there on
    held: bool = False  # a frozen worker's request is passed on only when it goes on

    def __str__(self) -> str:
        return f"{self.fault or 'a signal'}{f', and for {self.lasting:g} s' * bool(self.lasting)}{', held back' * self.held} at {self.point}"


#: What to try, of the requests of an undisturbed worker.
Trials = Callable[[Sequence[Point]], Sequence[Trial]]


def spoil(lab: S3Lab, trial: Trial) -> bool:
    """Spoil requests of a worker, run it again, and check the promise after each; say whether it came to that."""
    lab.fresh()
    untouched = lab.executions()
    lab.arm(trial.point, trial.fault, lasting=trial.lasting)
    ended = lab.work("first")
    hit = lab.proxy.hits > 0
    check_said(ended, codes=(0, 2, 3))
    if ended.code == 3 and lab.executions() != untouched:
        raise Violation(f"the worker ended with 3 and has executed: {ended.said}")
    if ended.seconds > (ALL_FAIL if trial.lasting else ONE_FAULT) * max(lab.slow, slowness()):
        raise Violation(f"the worker took {ended.seconds:.0f} s: {ended.said}")
    denied = _denied(trial)
    # A status code without a run.json is what `sc batch` leaves, and is taken for that where a store denies having it.
    finished = ended.code == 0 and not any(path.endswith("/run.json") for path in denied)
    # Where a store denies having the status code, the run is executed once more; what is published then stays.
    late = [path.removesuffix("/status_code") for path in denied if path.endswith("/status_code")]
    check_and_finish(lab, must_be_finished=finished, late=late)
    return hit


def _denied(trial: Trial) -> list[str]:
    """Return the object that a store denies having when a worker reads it, if it does."""
    method, path = trial.point.label.split(" ", 1)
    return [path] if trial.fault is Fault.MISSING and method in ("GET", "HEAD") else []


def outlast(lab: S3Lab, trial: Trial) -> bool:
    """Have the store away for a while: a worker that executes something ends with 0; say whether it came to that."""
    lab.fresh()
    untouched = lab.executions()
    lab.arm(trial.point, trial.fault, lasting=trial.lasting)
    ended = lab.work("first")
    hit = lab.proxy.hits > 0
    check_said(ended, codes=(0, 2, 3) if lab.executions() == untouched else [0])
    check_and_finish(lab, must_be_finished=ended.code == 0)
    return hit


def kill(lab: S3Lab, trial: Trial) -> bool:
    """Kill a worker at a request, which the server still gets, run it again, and check the promise after each."""
    lab.fresh()
    ended = _start(lab, trial.point, lambda pid: os.kill(pid, signal.SIGKILL)).end()
    hit = ended.code == -signal.SIGKILL
    if not hit:
        check_said(ended, codes=[0])
    check_and_finish(lab, must_be_finished=not hit)
    return hit


def freeze(lab: S3Lab, trial: Trial) -> bool:
    """Stop a worker at a request, let a second one do the chunk, let the first go on; check the promise after each."""
    lab.fresh()
    untouched = lab.executions()
    frozen, go_on = threading.Event(), threading.Event()

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        frozen.set()
        if trial.held:
            go_on.wait()

    first = _start(lab, trial.point, stop)
    while not frozen.is_set() and not first.has_ended(0.05):
        pass
    if not frozen.is_set():
        check_said(first.end(), codes=[0])
        check_and_finish(lab, must_be_finished=True)
        return False
    has_begun = lab.executions() != untouched
    try:
        check_said(lab.work("second", direct=True), codes=[0])
        state, executions = lab.look(), lab.executions()
        promise.check_whole(state)
        promise.check_finished(state, lab.runs, {FAILS, "early"} - promise.completed(state))
    finally:
        go_on.set()
        os.kill(first.pid, signal.SIGCONT)
        ended = first.end()
    check_said(ended, codes=(0, 2) if has_begun else (0, 2, 3))
    if ended.code == 3 and lab.executions() != executions:
        raise Violation(f"the worker ended with 3 and has executed: {ended.said}")
    after = lab.look()
    promise.check_whole(after)
    check_manifests(after)
    promise.check_unchanged(state, after)
    promise.check_late(state, executions, lab.executions())
    if ended.code == 0:  # it has taken what the second one has published, a failure too
        promise.check_finished(after, lab.runs, {FAILS, "early"} - promise.completed(after))
    check_and_finish(lab, must_be_finished=False, late=lab.runs)
    return True


def _start(lab: S3Lab, point: Point, act: Callable[[int], None]) -> Worker:
    """Start a worker; at this request of it do something to its process."""
    started = threading.Event()
    workers: list[Worker] = []

    def then() -> None:
        started.wait()
        act(workers[0].pid)

    lab.arm(point, then)
    workers.append(lab.start("first"))
    started.set()
    return workers[0]


class Bench:
    """Laboratories on a server, which several experiments share, since it takes seconds to make one."""

    def __init__(self, server: Server, scene: Scene, side_by_side: int) -> None:
        self.server, self.scene = server, scene
        with ExitStack() as stack:
            self.labs = [_open(stack, server, scene) for _ in range(side_by_side)]
            self.points = requests(self.labs[0])
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close them all."""
        self._stack.close()


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is tried on a server."""

    bench: Bench
    attempt: Callable[[S3Lab, Trial], bool]
    trials: Trials
    normally: int  # trials, in the normal mode

    def explore(self) -> Findings:
        """Try every trial, or in the normal mode a part of them; with a planted bug, until it shows."""
        findings, began = Findings(), time.monotonic()
        left: queue.SimpleQueue[Trial] = queue.SimpleQueue()
        trials = self.trials(self.bench.points)
        bug, labs = self.bench.scene.bug, self.bench.labs
        for trial in (
            random.Random(SEED).sample(trials, len(trials)) if bug else sample(trials, self.normally)
        ):
            left.put(trial)
        with ThreadPoolExecutor(len(labs)) as threads:
            for ended in [threads.submit(self._try_all, lab, left, findings) for lab in labs]:
                ended.result()
        findings.seconds = time.monotonic() - began
        return findings

    def _try_all(self, lab: S3Lab, left: queue.SimpleQueue[Trial], findings: Findings) -> None:
        while not (self.bench.scene.bug and findings.violations):
            try:
                trial = left.get_nowait()
            except queue.Empty:
                return
            hit = True
            try:
                hit = self.attempt(lab, trial)
            except Violation as violation:
                findings.violations.append(f"{trial}: {violation}")
            findings.tried += 1
            findings.hit += hit


def _open(stack: ExitStack, server: Server, scene: Scene) -> S3Lab:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-", dir=PLACE)))
    return stack.enter_context(closing(S3Lab(folder, server, scene)))


def requests(lab: S3Lab) -> list[Point]:
    """Return every request of an undisturbed worker."""
    lab.fresh()
    check_said(lab.work("first"), codes=[0])
    return list(lab.proxy.seen)
