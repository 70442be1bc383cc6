"""The promise on a file system: whatever breaks, running the batch again executes exactly what is missing."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from tests.faults import explore
from tests.faults.crash import crashes
from tests.faults.errors import CAN_FAIL, errors
from tests.faults.explore import Experiment, T
from tests.faults.freeze import freezes
from tests.faults.lab import Scenario
from tests.faults.swarm import WORKERS, Swarm
from tests.faults.tally import Tally

ONE, FOUR = Scenario(1), Scenario(4)
SCRATCH, NO_EXCHANGE = Scenario(4, scratch=True), Scenario(1, exchange=False)

traced = pytest.mark.usefixtures("can_trace")
powered = pytest.mark.usefixtures("can_cut_power")


def hold(tally: Tally, fault: str, experiment: Experiment[T], *, least: float) -> None:
    """Try it, count it, and demand that nothing breaks the promise and that most points were really hit.

    With four runs at once calls come in another order each time, so on a busy machine fewer points are.
    """
    least -= 0.3 if experiment.scenario.nprocs > 1 else 0
    found = explore.explore(experiment)
    where = f"file system, {experiment.scenario}"
    tally.add(where, fault, found.tried, found.hit, len(found.violations), found.seconds)
    assert not found.violations, "\n".join(found.violations)
    assert found.hit >= least * found.tried, f"only {found.hit} of {found.tried} points were hit"


@traced
@pytest.mark.parametrize("scenario", [ONE, FOUR, SCRATCH, NO_EXCHANGE], ids=str)
def test_a_worker_is_killed_at_every_call(tally: Tally, scenario: Scenario) -> None:
    hold(tally, "SIGKILL", crashes(scenario, 30), least=0.8)


@traced
@powered
@pytest.mark.parametrize("scenario", [ONE, FOUR, NO_EXCHANGE], ids=str)
def test_the_power_is_cut_at_every_call(tally: Tally, scenario: Scenario) -> None:
    hold(tally, "power cut", crashes(scenario, 25, power=True), least=0.8)


@traced
@pytest.mark.parametrize("error", CAN_FAIL)
@pytest.mark.parametrize("scenario", [ONE, FOUR], ids=str)
def test_every_call_fails(tally: Tally, scenario: Scenario, error: str) -> None:
    hold(tally, error, errors(scenario, error, 10), least=0.7)


@traced
@pytest.mark.parametrize("nprocs, exchange", [(1, True), (4, True), (1, False)])
def test_a_worker_is_frozen_at_every_call_while_another_one_does_its_chunk(
    tally: Tally, nprocs: int, exchange: bool
) -> None:
    scenario = Scenario(nprocs, exchange=exchange, raced=True)
    hold(tally, "frozen while a second worker does the chunk", freezes(scenario, 14), least=0.8)


def test_workers_are_killed_again_and_again(tally: Tally) -> None:
    runs, every = (10_000, 2.0) if explore.NIGHTLY else (3000, 0.5)
    began, violations = time.monotonic(), 1
    with tempfile.TemporaryDirectory(dir=explore.PLACE) as folder:
        swarm = Swarm(Path(folder), runs)
        try:
            swarm.work(every)
            assert swarm.killed
            assert swarm.executions() > runs, "the kills have hit no run"
            swarm.check()
            violations = 0
        finally:
            what = f"{WORKERS} workers at {runs:,} runs, kill -9 every {every:g} s"
            tally.add("file system", what, swarm.killed, swarm.killed, violations, time.monotonic() - began)
