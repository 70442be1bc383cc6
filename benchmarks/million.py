"""Measure what a plan costs from a thousand runs to a million, nine in ten completed: `plan`, `status`, `split`, `run`.

The outputs are written by this script as a worker writes them, without an execution: one run is executed first, and its
files are the pattern of all others. The program is asked afterwards whether it takes them as such. The tree of each size
stays in the folder that --where names, for the next time; it takes three inodes a run, on tmpfs a million of them 8 GB.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from statistics import median

from measure import Command, CommandError, Cost, file_system, machine, measure, ours

SEEDS = 10  # values of an axis; the other one has a tenth of the runs
SIZES = (1_000, 10_000, 100_000, 1_000_000)
COMMANDS: Mapping[str, Sequence[str]] = {
    "plan": ["plan"],
    "status": ["status"],
    "split": ["split", "--engine", "kubernetes"],
    "run, nothing to do": ["run", "-f", "completed.toml"],
    "plan NAME": ["plan", "each:9-0"],
}


def write_batchfile(file: Path, numbers: int) -> None:
    """Write a batch of so many runs for each seed."""
    text = f"""[batch]
name = "million"
remote_output_path = "file://out"
nprocs = 4
batch_size = 1000

[kubernetes]
image = "image:1"
volumes = {{ "{file.parent}/out" = "claim" }}

[runs.each]
cmd = "true --seed {{seed}} --number {{number}}"
name = "{{seed}}-{{number}}"

[runs.each.matrix]
seed = {{ range = [0, {SEEDS}, 1] }}
number = {{ range = [0, {numbers}, 1] }}
"""
    file.write_text(text, encoding="utf-8")


def prepare(where: Path, runs: int, timeout: float) -> Path:
    """Return a folder in which so many runs are known, and nine in ten completed; make it if it is not there yet."""
    folder, numbers = where / f"million-{runs}", runs // SEEDS
    done = folder / "prepared"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_batchfile(folder / "batchfile.toml", numbers)
    write_batchfile(folder / "completed.toml", numbers * 9 // 10)
    print(f"writing {runs * 9 // 10:,} outputs in {folder}, once", file=sys.stderr)
    measure(Command([*ours(), "run", "each:0-0"], folder), timeout)
    pattern = (folder / "out/each/0-0/run.json").read_text(encoding="utf-8")
    for seed in range(SEEDS):
        for number in range(numbers * 9 // 10):
            if seed or number:
                write_output(folder / "out" / "each", pattern, seed, number)
    done.touch()
    return folder


def write_output(stage: Path, pattern: str, seed: int, number: int) -> None:
    """Write the output of a run, as far as a plan looks at it; `pattern` is the `run.json` of the first."""
    cmd = f"true --seed {seed} --number {number}"
    digest = blake2b(cmd.encode(), digest_size=8).hexdigest()
    said = re.sub(r'"fingerprint": "[0-9a-f]+', f'"fingerprint": "{digest}', pattern, count=1)
    said = said.replace("true --seed 0 --number 0", cmd, 1)
    output = f"{stage}/{seed}-{number}"
    os.mkdir(output)
    for name, text in (("run.json", said), ("status_code", "0")):
        with open(f"{output}/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def check(folder: Path, runs: int, name: str) -> None:
    """Raise CommandError where a command has not said what is so."""
    said = (folder / "log").read_text(encoding="utf-8")
    expected = {
        "plan": f"{runs // 10:,} of {runs:,} runs to execute",
        "status": f"{runs * 9 // 10:,} completed, {runs // 10:,} incomplete",
        "split": f"wrote {max(1, runs // 10_000):,} chunk",
        "run, nothing to do": "up to date",
        "plan NAME": "up to date",
    }[name]
    if expected not in said:
        raise CommandError(f"{name}: expected `{expected}`, found `{said[:200]}`")


def execute(folder: Path, runs: int, name: str, timeout: float) -> Cost:
    """Measure one command, and check what it says."""
    shutil.rmtree(folder / "out" / ".pydoit_sc" / "submissions", ignore_errors=True)
    cost = measure(Command([*ours(), *COMMANDS[name]], folder), timeout)
    check(folder, runs, name)
    return cost


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help=f"runs, multiples of 100 {SIZES}")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each command (3)")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="these commands")
    parser.add_argument(
        "--where", type=Path, metavar="DIR", help="keep the trees there (not kept if left out)"
    )
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one command (900)")
    return parser.parse_args()


def main() -> int:
    """Return 0, or 1 when a command failed or said what is not so."""
    args = parse_args()
    default = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="million-", dir=default) as temporary:
        where: Path = args.where or Path(temporary)
        where.mkdir(parents=True, exist_ok=True)
        print(f"{machine()}, {file_system(where)}; medians of {args.rounds}, the largest peak")
        print(f"{'runs':>9}  {'command':20} {'wall s':>8} {'CPU s':>8} {'CPU us/run':>10} {'peak MiB':>9}")
        try:
            for runs in args.sizes:
                folder = prepare(where, runs, args.timeout)
                for name in args.only:
                    costs = [execute(folder, runs, name, args.timeout) for _ in range(args.rounds)]
                    wall, cpu = median(cost.wall for cost in costs), median(cost.cpu for cost in costs)
                    peak = max(cost.peak for cost in costs)
                    print(
                        f"{runs:9}  {name:20} {wall:8.2f} {cpu:8.2f} {1e6 * cpu / runs:10.1f} {peak:9.0f}",
                        flush=True,
                    )
        except CommandError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
