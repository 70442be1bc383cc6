"""Measure what a batch costs when nothing is left to execute: `run`, `plan`, `summarize-batch`.

The store is a real one: `pydoit-sc run` executes every run once, and the tree stays in the folder that --where names,
for the next time. With --memory instead, the peak memory of executing a small and a large batch is compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from measure import Command, CommandError, Cost, file_system, machine, measure, ours

COMMANDS = (["run"], ["plan"], ["summarize-batch"])
MEMORY_RUNS = (2_000, 20_000)
SAMPLES = 100  # runs looked at to see that nothing was executed


class ExecutedError(Exception):
    """A run that should have been skipped was executed again, or had never been."""


def write_batchfile(folder: Path, runs: int) -> None:
    """Write a batch of so many runs of `true`."""
    text = f"""[batch]
name = "benchmark"
remote_output_path = "file://out"
nprocs = "cores"
durable = false

[runs.each]
cmd = "true {{number}}"
name = "{{number}}"

[runs.each.matrix]
number = {{ range = [0, {runs}, 1] }}
"""
    (folder / "batchfile.toml").write_text(text, encoding="utf-8")


def execute(folder: Path, words: Sequence[str], timeout: float) -> Cost:
    """Execute one of our commands in a folder."""
    return measure(Command([*ours(), *words], folder), timeout)


def prepare(where: Path, runs: int, timeout: float) -> Path:
    """Return a folder in which so many runs are completed; execute them if it is not there yet."""
    folder = where / f"skip-completed-{runs}"
    done = folder / "prepared"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_batchfile(folder, runs)
        print(f"executing {runs} runs in {folder}, once", file=sys.stderr)
        cost = execute(folder, ["run"], timeout)
        print(f"that took {cost.wall:.1f} s, {1000 * cost.wall / runs:.3f} ms per run", file=sys.stderr)
        done.touch()
    return folder


def inspect(folder: Path, runs: int) -> list[tuple[int, int]]:
    """Return what would change if a run were executed again, for a sample of them."""
    found = []
    for run in range(0, runs, max(runs // SAMPLES, 1)):
        try:
            status = os.stat(folder / "out" / "each" / str(run) / "status_code")
        except FileNotFoundError as error:
            raise ExecutedError(f"run {run} was never executed") from error
        found.append((status.st_ino, status.st_mtime_ns))
    return found


def make_row(words: Sequence[str], costs: Sequence[Cost]) -> str:
    """Return a line of the table: medians, and the largest peak."""
    wall, cpu = median(cost.wall for cost in costs), median(cost.cpu for cost in costs)
    return f"{' '.join(words):16} {wall:9.3f} {cpu:9.3f} {max(cost.peak for cost in costs):9.0f}"


def measure_skipping(where: Path, args: argparse.Namespace) -> None:
    """Print what each command costs when all runs are completed."""
    runs: int = args.runs
    folder = prepare(where, runs, args.timeout)
    before = inspect(folder, runs)
    print(f"{runs} completed runs, medians of {args.rounds}")
    print(f"{'command':16} {'wall s':>9} {'CPU s':>9} {'peak MiB':>9}")
    for words in COMMANDS:
        costs = [execute(folder, words, args.timeout) for _ in range(args.rounds)]
        print(make_row(words, costs), flush=True)
    if inspect(folder, runs) != before:
        raise ExecutedError("runs that were completed have been executed again")


def measure_memory(where: Path, args: argparse.Namespace) -> None:
    """Print the peak memory of executing a small and a large batch."""
    print(f"{'runs executed':16} {'wall s':>9} {'CPU s':>9} {'peak MiB':>9}")
    for runs in MEMORY_RUNS:
        with tempfile.TemporaryDirectory(prefix="memory-", dir=where) as name:
            folder = Path(name)
            write_batchfile(folder, runs)
            cost = execute(folder, ["run"], args.timeout)
            inspect(folder, runs)
        print(make_row([str(runs)], [cost]), flush=True)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000, help="completed runs in the store (100000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each command (3)")
    parser.add_argument(
        "--where",
        type=Path,
        metavar="DIR",
        help="keep the store there for the next time (not kept if left out)",
    )
    parser.add_argument(
        "--memory", action="store_true", help="compare the memory of executing batches instead"
    )
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one command (600)")
    return parser.parse_args()


def main() -> int:
    """Return 0, or 1 when a command failed or did what it should not."""
    args = parse_args()
    default = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="skip-completed-", dir=default) as temporary:
        where: Path = args.where or Path(temporary)
        where.mkdir(parents=True, exist_ok=True)
        print(f"{machine()}, {file_system(where)}")
        try:
            (measure_memory if args.memory else measure_skipping)(where, args)
        except (CommandError, ExecutedError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
