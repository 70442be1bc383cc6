"""Measure when 2,000 runs end on 8 machines, by a simulated clock: chunks packed by past durations against plain ones.

The durations are log-normal, and each machine takes the next chunk when its last run has ended. The lower bound is
the longest run, or all work divided by all ranks. What is packed is known exactly, or, in the last column, was measured
on another day: each run takes up to some ten per cent more or less than before.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from statistics import median

from pydoit_sc.submissions.pack import Bounds, Timeline, pack

SEEDS = 20
RANKS = (1, 2, 4, 8, 16)


def draw(count: int, sigma: float, seed: int) -> list[float]:
    """Return the seconds of so many runs, half of which take up to a minute."""
    randomly = random.Random(seed)
    return [60 * randomly.lognormvariate(0, sigma) for _ in range(count)]


def plain(count: int, size: int) -> list[Sequence[int]]:
    """Return chunks of runs in their order."""
    return [range(first, min(count, first + size)) for first in range(0, count, size)]


def makespan(chunks: Sequence[Sequence[int]], seconds: Sequence[float], ranks: int, machines: int) -> float:
    """Return when the last run ends, if each machine takes chunks in their order and executes `ranks` runs at once."""
    all_of_them = Timeline(machines)
    for chunk in chunks:
        one = Timeline(ranks)
        for position in chunk:
            one.take(1, seconds[position])
        all_of_them.take(1, one.end)
    return all_of_them.end


def bound(seconds: Sequence[float], ranks: int, machines: int) -> float:
    """Return before when they cannot end."""
    return max(*seconds, sum(seconds) / ranks / machines)


def row(count: int, sigma: float, ranks: int, machines: int, noise: float) -> str:
    """Return a line of the table: times the lower bound, the median over the seeds, and the worst."""
    found: dict[str, list[float]] = {
        "plain": [],
        "packed": [],
        "plain later": [],
        "packed later": [],
        "chunks": [],
    }
    cut = plain(count, 3 * ranks)
    for seed in range(SEEDS):
        seconds = draw(count, sigma, seed)
        later = [
            one * other / 60 for one, other in zip(seconds, draw(count, noise, seed + SEEDS), strict=True)
        ]
        bounds = Bounds(ranks, 3 * sum(seconds) / count, machines=machines)
        packed = pack([(one, 1) for one in seconds], bounds)
        found["chunks"].append(len(packed))
        for name, chunks in (("plain", cut), ("packed", packed)):
            for what, real in ((name, seconds), (f"{name} later", later)):
                least = bound(real, ranks, machines)
                found[what].append(makespan(chunks, real, ranks, machines) / least)
    times = [f"{median(found[name]):.3f} (worst {max(found[name]):.3f})" for name in ("plain", "packed")]
    noisy = f"{median(found['plain later']):.2f} / {median(found['packed later']):.2f}"
    return (
        f"| {sigma} | {ranks} | {' | '.join(times)} | {len(cut)} / {median(found['chunks']):.0f} | {noisy} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000, help="in the batch (2000)")
    parser.add_argument("--machines", type=int, default=8, help="that take chunks (8)")
    parser.add_argument(
        "--noise", type=float, default=0.1, help="sigma of what a run takes another day (0.1)"
    )
    args = parser.parse_args()
    print(f"{args.runs:,} runs, {args.machines} machines, {SEEDS} seeds; times the lower bound\n")
    print("| sigma | ranks | plain | packed | chunks: plain / packed | another day: plain / packed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for sigma in (1.0, 1.5):
        for ranks in RANKS:
            print(row(args.runs, sigma, ranks, args.machines, args.noise), flush=True)


if __name__ == "__main__":
    main()
