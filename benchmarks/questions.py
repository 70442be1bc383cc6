"""Measure how long the answers to a user's questions take, on 10,000 runs that have been executed, some of which failed.

The store is a real one: `pydoit-sc run` executes every run once, and the tree stays in the folder that --where names,
for the next time. With --to the outputs are elsewhere, such as on an S3 server: README.md starts one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from measure import Command, CommandError, Cost, file_system, machine, measure, ours

#: What a user asks, and the command that answers it; one that the program does not have is left out.
QUESTIONS = (
    ("How does it stand?", ["status"]),
    ("What has failed, and why?", ["failures"]),
    ("What would execute, and why?", ["plan"]),
    ("Only what has failed?", ["plan", "--status", "error"]),
    ("Those of a part?", ["plan", "each:42*"]),
    ("What has this run written?", ["logs", "each:42"]),
    ("Why would this run execute?", ["info", "each:42"]),
    ("Which attempts were there?", ["history", "each:42"]),
    ("How do all runs stand?", ["summarize-batch"]),
    ("How long did each take?", ["summarize-batch", "--format", "csv"]),
    ("Which took longest?", ["summarize-batch", "--sort", "-seconds", "--columns", "name,seconds"]),
    ("The slowest ten?", ["plan", "--slowest", "10", "--all"]),
    ("All of it on one page?", ["report", "--to", "report.html"]),
    ("What was submitted?", ["submissions"]),
    ("What are they called?", ["list", "--all"]),
    ("And at a Tab?", ["tabcompletion", "--complete", "bash", "pydoit-sc plan each:42"]),
)
GOALS = {"file": 1.0, "s3": 3.0}  # seconds, by the scheme of the store
LONGER = {"report": 3.0}  # seconds, at least, for a command that does more than answer

#: One run of 50 fails, in one of four ways.
_BATCHFILE = """\
[batch]
name = "questions"
nprocs = "cores"
durable = false
max_failures = "100 %"

[runs.each]
cmd = "echo run {number}; case {number} in *00) echo KeyError: {number} >&2; exit 1 ;; *50) exit $(({number!s} % 3 + 2)) ;; esac"
name = "{number}"
matrix = { number = { range = [0, RUNS] } }
"""


def prepare(where: Path, runs: int, to: str, timeout: float) -> Path:
    """Return a folder with a batch of so many runs that have all been executed; execute them if it is not there yet."""
    folder = where / f"questions-{runs}"
    done = folder / "prepared"
    if not done.exists() or done.read_text(encoding="utf-8") != to:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "batchfile.toml").write_text(_BATCHFILE.replace("RUNS", str(runs)), encoding="utf-8")
        print(f"executing {runs:,} runs, once", file=sys.stderr)
        begun = time.perf_counter()
        command = [*ours(), "run", "--quiet", "--to", to]
        with (folder / "log").open("wb") as log:
            code = subprocess.run(
                command, cwd=folder, stdout=log, stderr=log, timeout=timeout, check=False
            ).returncode
        if code != 1:  # some failed, as they should
            raise CommandError(f"run: exit code {code}, see {folder}/log")
        print(f"that took {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        done.write_text(to, encoding="utf-8")
    return folder


def commands() -> set[str]:
    """Return the commands that the program has."""
    text = subprocess.run([*ours(), "help"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in text.splitlines() if line.startswith("  ") and line[2] != " "}


def row(question: str, words: Sequence[str], costs: Sequence[Cost], goal: float) -> str:
    """Return a line of the table: medians, and the largest peak."""
    wall, cpu = median(cost.wall for cost in costs), median(cost.cpu for cost in costs)
    shown = " ".join(words) if words[0] != "tabcompletion" else "(completion)"
    return (
        f"| {question} | `{shown}` | {wall:.2f} | {cpu:.2f} | {max(cost.peak for cost in costs):.0f} | "
        f"{goal:.0f} s: {'yes' if wall <= goal else 'no'} |"
    )


def ask(folder: Path, to: str, rounds: int, timeout: float) -> None:
    """Print the table."""
    goal = GOALS["s3" if to.startswith("s3:") else "file"]
    here = commands()
    print("| question | command | wall s | CPU s | peak MiB | goal |\n| --- | --- | --- | --- | --- | --- |")
    for question, words in QUESTIONS:
        if words[0] not in here:
            continue
        place = [] if words[0] == "tabcompletion" else ["--remote-output-path", to]
        costs = [measure(Command([*ours(), *words, *place], folder), timeout) for _ in range(rounds)]
        print(row(question, words, costs, max(goal, LONGER.get(words[0], 0.0))), flush=True)


def main() -> int:
    """Return 0, or 1 when a command failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000, help="in the batch (10000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each command (3)")
    parser.add_argument("--where", type=Path, metavar="DIR", help="keep the batch there for the next time")
    parser.add_argument("--to", default="", metavar="URL", help="where the outputs are (in DIR)")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for one command (1200)")
    args = parser.parse_args()
    default = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="questions-", dir=default) as temporary:
        where = Path(args.where or temporary).resolve()
        to = args.to or f"file://{where}/out-{args.runs}"
        print(f"{machine()}, {file_system(where)}, {args.runs:,} runs, medians of {args.rounds}\n")
        try:
            ask(prepare(where, args.runs, to, args.timeout), to, args.rounds, args.timeout)
        except (CommandError, subprocess.TimeoutExpired) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
