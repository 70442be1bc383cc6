"""Runs packed into chunks by how long they take."""

from __future__ import annotations

import random

import pytest
from packing import bound, draw, makespan, plain

from pydoit_sc.submissions.pack import Bounds, Timeline, pack


def test_the_longest_first_and_no_rank_idle() -> None:
    needs = [(seconds, 1) for seconds in (1.0, 6.0, 2.0, 3.0, 1.0, 3.0, 2.0)]
    assert pack(needs, Bounds(2, 4.0)) == [[1, 3, 5], [2, 6, 0, 4]]


def test_equal_runs_are_cut_in_their_order() -> None:
    needs = [(0.1, 1)] * 8
    assert pack(needs, Bounds(1, 0.1 * 3)) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_the_last_chunks_are_shorter_where_a_job_is_worth_it() -> None:
    def sizes(seconds: float) -> list[int]:
        return [len(chunk) for chunk in pack([(seconds, 1)] * 16, Bounds(2, 4 * seconds, machines=1))]

    assert sizes(60.0) == [8, 4, 2, 2]
    assert sizes(15.0) == [8, 8]


def test_runs_that_hold_several_slots() -> None:
    """They start when so many ranks are free, and nothing overtakes them: as in a worker."""
    needs = [(4.0, 1), (3.0, 2), (1.0, 1), (2.0, 3), (9.0, 7)]
    chunks = pack(needs, Bounds(3, 5.0))
    assert chunks == [[4], [0, 1, 2], [3]]


def test_no_chunk_is_longer_than_the_limit_unless_it_is_one_run() -> None:
    randomly = random.Random(2)
    needs = [(randomly.lognormvariate(0, 1.5), randomly.choice((1, 1, 2))) for _ in range(300)]
    chunks = pack(needs, Bounds(3, 40.0, limit=10.0))
    assert sorted(position for chunk in chunks for position in chunk) == list(range(300))
    for chunk in chunks:
        timeline = Timeline(3)
        for position in chunk:
            timeline.take(needs[position][1], needs[position][0])
        assert timeline.end <= 10.000001 or len(chunk) == 1 or needs[chunk[0]][0] > 10.0
        assert all(needs[position][0] <= 10.0 for position in chunk[1:])


def test_a_size_that_the_user_gives_is_kept() -> None:
    needs = [(1.0, 1), *[(0.01, 1)] * 50]
    assert max(map(len, pack(needs, Bounds(2, 5.0, runs=7)))) == 7
    assert len(pack(needs, Bounds(2, 5.0))) == 1


@pytest.mark.parametrize("sigma", [1.0, 1.5])
@pytest.mark.parametrize("ranks", [1, 4, 16])
def test_eight_machines_end_together(sigma: float, ranks: int) -> None:
    """2,000 runs with log-normal durations end within 5 % of what is possible."""
    for seed in range(2):
        seconds = draw(2000, sigma, seed)
        usual = sum(seconds) / ranks * 3 * ranks / len(seconds)
        packed = pack([(one, 1) for one in seconds], Bounds(ranks, usual, machines=8))
        ends = makespan(packed, seconds, ranks, 8)
        assert ends <= 1.05 * bound(seconds, ranks, 8)
        assert ends < makespan(plain(len(seconds), 3 * ranks), seconds, ranks, 8)
