"""Compare what a run costs with pydoit-sc, with its peers, and with a floor written in C, interleaved.

The command is `true` as a rule, so all that is measured is what the worker itself does. Machines drift within minutes, and
their disks more so; therefore every round measures each contestant once, in an order of its own, and what counts is
the median of each round's ratio to the floor of the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import median

from contestants import (
    CONTESTANTS,
    FLOOR,
    Contestant,
    Job,
    MissingOutputError,
    NotInstalledError,
    check_installed,
    compile_floor,
    select,
)
from measure import CommandError, Cost, file_system, machine, measure


@dataclass(frozen=True)
class Setting:
    """So many runs of a command, so many at once."""

    cmd: str
    runs: int
    nprocs: int

    def __str__(self) -> str:
        return f"{self.runs:,} x `{self.cmd}`, {self.nprocs} at once"

    @property
    def ideal(self) -> float:
        """Milliseconds of wall time per run of commands that only sleep, where nothing else takes time; else 0."""
        seconds = self.cmd.removeprefix("sleep ") if self.cmd.startswith("sleep ") else "0"
        return 1000 * float(seconds) / self.nprocs


#: What docs/performance.md has a table of.
GOALS = (Setting("true", 5000, 2), Setting("true", 5000, 8), Setting("sleep 0.2", 1280, 64))


@dataclass(frozen=True)
class Bench:
    """What all measurements have in common."""

    floor: Path  # compiled
    peers: Path | None = None  # where those from PyPI are installed
    timeout: float = 300  # seconds for one measurement


@dataclass(frozen=True)
class Sample:
    """One measurement: milliseconds per run."""

    wall: float
    cpu: float


@dataclass
class Record:
    """What is known of one contestant in one place."""

    contestant: Contestant
    samples: list[Sample] = field(default_factory=list)  # one a round
    failure: str | None = None  # why it takes no further part
    left_out: str | None = None  # why it takes no part

    @property
    def why_missing(self) -> str | None:
        """What stands in the table in place of figures."""
        return self.left_out or (f"failed: {self.failure}" if self.failure else None)


@dataclass(frozen=True)
class Place:
    """All records of one setting in one folder."""

    setting: Setting
    where: Path
    records: list[Record]


def execute(contestant: Contestant, setting: Setting, where: Path, bench: Bench) -> Cost:
    """Execute runs in a fresh folder, check that their outputs exist, and return the cost."""
    with tempfile.TemporaryDirectory(prefix="cost-per-run-", dir=where) as folder:
        job = Job(setting.cmd, setting.runs, setting.nprocs, Path(folder), bench.floor, bench.peers)
        cost = measure(contestant.prepare(job), bench.timeout)
        contestant.verify(job)
    if file_system(where) != "tmpfs":
        os.sync()  # so that nobody pays for what this one has left to be written
    return cost


def take_sample(contestant: Contestant, setting: Setting, where: Path, bench: Bench) -> Sample:
    """Measure one contestant once. A slow one's cost of all runs is reckoned from one run and a part of them."""
    runs = setting.runs
    part = runs // contestant.share
    if part in (0, 1, runs):
        cost = execute(contestant, setting, where, bench)
        wall, cpu = cost.wall, cost.cpu
    else:
        one = execute(contestant, replace(setting, runs=1), where, bench)
        some = execute(contestant, replace(setting, runs=part), where, bench)
        scale = (runs - 1) / (part - 1)
        wall = one.wall + (some.wall - one.wall) * scale
        cpu = one.cpu + (some.cpu - one.cpu) * scale
    return Sample(1000 * wall / runs, 1000 * cpu / runs)


def compare(
    contestants: Sequence[Contestant], setting: Setting, where: Path, rounds: int, bench: Bench
) -> Place:
    """Measure every contestant once a round. One that fails is out, with its reason."""
    where.mkdir(parents=True, exist_ok=True)
    records = [Record(each) for each in contestants]
    for record in records:
        try:
            check_installed(record.contestant, bench.peers)
        except NotInstalledError as error:
            record.left_out = str(error)
    rng = random.Random(0)
    for number in range(1, rounds + 1):
        for record in rng.sample(records, len(records)):
            if record.left_out or record.failure:
                continue
            print(
                f"{where}: {setting}: round {number} of {rounds}, {record.contestant.name}", file=sys.stderr
            )
            try:
                record.samples.append(take_sample(record.contestant, setting, where, bench))
            except (CommandError, MissingOutputError) as error:
                record.failure = str(error)
    return Place(setting, where, records)


def ratio(values: Sequence[float], floors: Sequence[float]) -> float:
    """Return the median of each round's ratio to the floor."""
    return median(value / floor for value, floor in zip(values, floors, strict=True))


def make_row(record: Record, floor: Record, ideal: float) -> str:
    """Return a line of the table."""
    name = record.contestant.name + ("*" if record.contestant.share > 1 else "")
    if record.why_missing or floor.why_missing:
        return f"{name:16}  {record.why_missing or 'nothing to compare with'}"
    wall, cpu = [sample.wall for sample in record.samples], [sample.cpu for sample in record.samples]
    wall_ratio = ratio(wall, [sample.wall for sample in floor.samples])
    cpu_ratio = ratio(cpu, [sample.cpu for sample in floor.samples])
    share = f" {100 * ideal / median(wall):9.1f}" if ideal else ""
    return f"{name:16} {median(wall):9.3f} {wall_ratio:9.2f} {median(cpu):9.3f} {cpu_ratio:9.2f}{share}"


def make_table(place: Place) -> str:
    """Return the results of one setting in one folder."""
    floor = next(record for record in place.records if record.contestant is FLOOR)
    ideal = place.setting.ideal
    share = f" {'% of ideal':>9}" if ideal else ""
    return "\n".join(
        [
            f"{place.setting}, {place.where} ({file_system(place.where)})",
            f"{'contestant':16} {'wall ms':>9} {'x floor':>9} {'CPU ms':>9} {'x floor':>9}{share}",
            *(make_row(record, floor, ideal) for record in place.records),
        ]
    )


def make_legend(places: Sequence[Place]) -> str:
    """Return what the names of the table mean."""
    contestants = [record.contestant for record in places[0].records]
    lines = []
    for each in contestants:
        words = [each.prepare.__doc__ or "", f"{each.requirement}." if each.requirement else ""]
        if each.share > 1:
            words.append(f"* Reckoned from one run and one in {each.share} of the runs.")
        lines.append(f"{each.name:16} {' '.join(filter(None, words))}")
    return "\n".join(lines)


def make_json(places: Sequence[Place]) -> str:
    """Return every sample, in milliseconds per run."""
    found = {
        "machine": machine(),
        "places": [
            {
                **asdict(place.setting),
                "where": str(place.where),
                "file_system": file_system(place.where),
                "contestants": [
                    {
                        "name": record.contestant.name,
                        "missing": record.why_missing,
                        "wall_ms": [round(sample.wall, 4) for sample in record.samples],
                        "cpu_ms": [round(sample.cpu, 4) for sample in record.samples],
                    }
                    for record in place.records
                ],
            }
            for place in places
        ],
    }
    return json.dumps(found, indent=2) + "\n"


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3000, help="runs per measurement (3000)")
    parser.add_argument("--nprocs", type=int, default=2, help="runs at once (2)")
    parser.add_argument("--command", default="true", help="what each run executes (true)")
    parser.add_argument(
        "--goals", action="store_true", help="in place of these three: the settings that are goals, in memory"
    )
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contestant (5)")
    parser.add_argument(
        "--where",
        type=Path,
        action="append",
        metavar="DIR",
        help="folder to write in, several times for several (/dev/shm, and the one for temporary files)",
    )
    parser.add_argument("--only", nargs="+", choices=[each.name for each in CONTESTANTS], metavar="NAME")
    parser.add_argument(
        "--peers", type=Path, metavar="DIR",
        help="folder in which the peers from PyPI are, or are installed (these are left out if it is not given)",
    )  # fmt: skip
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one measurement (300)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    return parser.parse_args()


def main() -> int:
    """Return 0 when every contestant that takes part has done its work."""
    args = parse_args()
    memory = Path("/dev/shm")
    wheres: list[Path] = args.where or ([memory] if args.goals else [memory, Path(tempfile.gettempdir())])
    settings = GOALS if args.goals else (Setting(args.command, args.runs, args.nprocs),)
    print(f"per run; medians of {args.rounds} rounds")
    print(machine(), end="\n\n")
    places = []
    with tempfile.TemporaryDirectory(prefix="floor-") as folder:
        floor = compile_floor(Path(__file__).with_name("floor.c"), Path(folder))
        bench = Bench(floor, args.peers and args.peers.resolve(), args.timeout)
        for where, setting in product(wheres, settings):
            places.append(compare(select(args.only), setting, where.resolve(), args.rounds, bench))
            print(make_table(places[-1]), end="\n\n", flush=True)
    print(make_legend(places))
    if args.json:
        args.json.write_text(make_json(places), encoding="utf-8")
    return 1 if any(record.failure for place in places for record in place.records) else 0


if __name__ == "__main__":
    sys.exit(main())
