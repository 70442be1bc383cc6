"""Fit a toy model to noisy points of a curve and write its test error as JSON in the run's results directory."""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

Point = tuple[float, float]
Model = Callable[[float], float]

NO_MEMORY = 75  # EX_TEMPFAIL of sysexits.h: may work when it is tried again


def sample(rng: random.Random, count: int) -> list[Point]:
    """Return points of one period of a sine, with noise of standard deviation 0.2."""
    xs = [rng.uniform(-1, 1) for _ in range(count)]
    return [(x, math.sin(math.pi * x) + rng.gauss(0, 0.2)) for x in xs]


def solve(matrix: list[list[float]]) -> list[float]:
    """Solve a linear system, given as rows of coefficients and right side, by Gauss-Jordan elimination."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        head = [value / matrix[column][column] for value in matrix[column]]
        matrix = [
            head if row == column else [a - line[column] * b for a, b in zip(line, head, strict=True)]
            for row, line in enumerate(matrix)
        ]
    return [line[-1] for line in matrix]


def fit_poly(points: Sequence[Point], degree: int) -> Model:
    """Return the polynomial of least squares."""
    powers = range(degree + 1)
    normal = [
        [sum(x ** (row + column) for x, _ in points) for column in powers]
        + [sum(y * x**row for x, y in points)]
        for row in powers
    ]
    weights = solve(normal)
    return lambda x: sum(weight * x**power for power, weight in enumerate(weights))


def fit_knn(points: Sequence[Point], neighbours: int) -> Model:
    """Return the mean of the nearest points."""
    return lambda x: fmean(y for _, y in sorted(points, key=lambda point: abs(point[0] - x))[:neighbours])


MODELS: dict[str, Callable[[Sequence[Point], int], Model]] = {"poly": fit_poly, "knn": fit_knn}


def error_on_test(kind: str, size: int, seed: int) -> float:
    """Return the root mean square error on fresh points of a model fitted to 60."""
    rng = random.Random(seed)
    model = MODELS[kind](sample(rng, 60), size)
    return math.sqrt(fmean((model(x) - y) ** 2 for x, y in sample(rng, 200)))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument(
        "--size", type=int, required=True, help="the polynomial's degree, or how many neighbours"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    """Return 0, or 75 when there is no memory."""
    args = parse_args()
    try:
        error = error_on_test(args.model, args.size, args.seed)
    except MemoryError:
        print("no memory", file=sys.stderr)
        return NO_MEMORY
    results = Path(os.environ.get("SATURN_RUN_LOCAL_RESULTS_DIR", "."))
    found = {"model": args.model, "size": args.size, "seed": args.seed, "error": round(error, 4)}
    (results / "error.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(f"{args.model} of size {args.size}, seed {args.seed}: error {error:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
