"""Measure what a short command costs, which is mostly the start of the program, and how soon a worker starts its first run.

The batch is the example of this repository, of which all 64 runs are completed. Beside ours stands the start of the
same Python with nothing to do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from measure import Command, CommandError, machine, measure, ours

ROOT = Path(__file__).parents[1]
EXAMPLE = ("batchfile.toml", "doit.cfg", "data", "examples")
FIRST = "out/first"  # the only run of a worker writes when it was started


@dataclass(frozen=True)
class Sample:
    """Seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """Something that is measured once a round."""

    name: str
    take: Callable[[], Sample]
    goal: float | None = None  # seconds of wall time
    samples: list[Sample] = field(default_factory=list)

    def __str__(self) -> str:
        wall, cpu = median(one.wall for one in self.samples), median(one.cpu for one in self.samples)
        goal = f"{1000 * self.goal:9.0f}" if self.goal else ""
        return f"{self.name:40} {1000 * wall:9.0f} {1000 * cpu:9.0f} {goal}".rstrip()


def copy_example(folder: Path) -> Path:
    """Copy the example into a folder, and execute it once."""
    for name in EXAMPLE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    measure(Command([*ours(), "run"], folder))
    return folder


def take_whole(argv: Sequence[str], folder: Path) -> Sample:
    """Execute a command; what counts is the time until it has ended."""
    cost = measure(Command(argv, folder))
    return Sample(cost.wall, cost.cpu)


def take_first_run(words: Sequence[str], folder: Path) -> Sample:
    """Execute a worker with one run; what counts is the time until that run was started. CPU is that of it all."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    begin = time.time()
    cost = measure(Command([*ours(), *words], folder))
    record = json.loads((folder / FIRST / "run.json").read_text(encoding="utf-8"))
    return Sample(record["started"] - begin, cost.cpu)


def write_one_run(folder: Path) -> Path:
    """Write a batch of one run, and the chunk of it."""
    text = '[batch]\nremote_output_path = "file://out"\nnprocs = 1\n[runs.first]\ncmd = "true"\n'
    (folder / "batchfile.toml").write_text(text, encoding="utf-8")
    run = {
        "remote_output_path": f"file://{folder / FIRST}",
        "cmd": "true",
        "local_results_dir": f"{folder}/results/",
        "status_code": None,
        "status": None,
    }
    chunk = {"runs": [run], "remote_output_path": f"file://{folder / 'out'}/", "nprocs": 1}
    (folder / "chunk.json").write_text(json.dumps(chunk), encoding="utf-8")
    return folder


def make_rows(folder: Path) -> list[Row]:
    """Prepare everything in a folder, and return what is to be measured."""
    (folder / "example").mkdir()
    (folder / "one").mkdir()
    example, one = copy_example(folder / "example"), write_one_run(folder / "one")
    return [
        Row("python -c pass", lambda: take_whole([sys.executable, "-c", "pass"], one)),
        Row("--help", lambda: take_whole([*ours(), "--help"], example), goal=0.1),
        Row("run, nothing to do", lambda: take_whole([*ours(), "run"], example), goal=0.3),
        Row("plan", lambda: take_whole([*ours(), "plan"], example)),
        Row("status", lambda: take_whole([*ours(), "status"], example)),
        Row("run, until the first run starts", lambda: take_first_run(["run"], one)),
        Row(
            "batch, until the first run starts",
            lambda: take_first_run(["batch", "chunk.json"], one),
            goal=0.25,
        ),
    ]


def main() -> int:
    """Return 0, or 1 when a command failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help="measurements of each row (20)")
    args = parser.parse_args()
    print(f"{machine()}; medians of {args.rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="startup-", dir="/dev/shm") as folder:
        try:
            rows = make_rows(Path(folder))
            for _ in range(args.rounds):
                for row in rows:
                    row.samples.append(row.take())
        except CommandError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    print(f"{'':40} {'wall ms':>9} {'CPU ms':>9} {'goal':>9}")
    print("\n".join(map(str, rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
