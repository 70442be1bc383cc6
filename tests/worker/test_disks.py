"""Disks that fill up under a worker: nothing that was cut is published, and the rest is executed when there is space."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoit_sc.batch import Settings
from pydoit_sc.worker.disks import Disks, scratch_disk
from tests.worker.workplace import QUICK, Workplace, await_, marked

SMALL = "size=8m,nr_inodes=300"
LARGE = "size=64m,nr_inodes=10000"
TOO_MUCH = "head -c 20000000 /dev/zero"


@pytest.fixture
def disk(place: Workplace) -> Iterator[Path]:
    """Make a small disk of its own, where the store will be."""
    place.out.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", SMALL, "pydoit-sc-test", str(place.out)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    yield place.out
    subprocess.run(["umount", "-l", str(place.out)], check=True)


def enlarge(disk: Path) -> None:
    """Let there be space again."""
    subprocess.run(["mount", "-o", f"remount,{LARGE}", str(disk)], check=True)


GREEDY = {
    "ignores": f"{TOO_MUCH}; exit 0",
    "fails": f"{TOO_MUCH} || exit 3",
    "goes on": f'{TOO_MUCH}; [ -e "$HERE/large" ] || sleep 300',
    "deaf": f'trap "" TERM; {TOO_MUCH}; [ -e "$HERE/large" ] || sleep 300',
    "cleans up": 'cd "$SATURN_RUN_LOCAL_RESULTS_DIR"; ' + TOO_MUCH + " > x; sleep 1; rm x; exit 0",
    "cleans up when it is stopped": 'cd "$SATURN_RUN_LOCAL_RESULTS_DIR"; trap "rm -f x; exit 0" TERM; '
    + TOO_MUCH
    + ' > x; [ -e "$HERE/large" ] || { sleep 300 & wait; }',
    "many files": 'cd "$SATURN_RUN_LOCAL_RESULTS_DIR"; for i in $(seq 400); do touch $i; done; exit 0',
}


@pytest.mark.slow
@pytest.mark.parametrize("how", GREEDY)
def test_what_ends_on_a_full_disk_is_not_published(place: Workplace, disk: Path, how: str) -> None:
    place.env["MARK"] = mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    runs = {
        "before": 'echo before >> "$HERE/log"',
        "greedy": f'echo greedy >> "$HERE/log"; read x < "$HERE/gate"; {GREEDY[how]}',
        # Its own output is cut, too, and it takes no notice.
        "neighbour": 'echo neighbour >> "$HERE/log"; [ -e "$HERE/large" ] || { echo up > "$EVENTS"; '
        "while :; do echo some more; sleep 0.05; done; }; exit 0",
        "after": 'echo after >> "$HERE/log"',
    }
    os.mkfifo(place.folder / "gate")
    gate = os.open(place.folder / "gate", os.O_RDWR)
    chunk = place.chunk(runs, Settings(retries=3, grace=0.5))
    worker = place.start(chunk)
    place.hear()
    await_(lambda: place.code("before") == 0)
    os.write(gate, b"go\ngo\n")
    start = time.monotonic()
    said, _ = worker.communicate(timeout=QUICK + 20)
    assert worker.returncode == 2, said
    assert time.monotonic() - start < QUICK
    (error,) = (line for line in said.splitlines() if line.startswith("ERROR"))
    assert str(place.out) in error
    assert "the disk is full" in error
    assert "failed" not in said.replace("0 failed", "")
    assert marked(mark) == []
    assert place.codes() == {"before": 0}
    assert sorted(place.lines("log")) == ["before", "greedy", "neighbour"]

    enlarge(disk)
    (place.folder / "large").touch()
    place.work(chunk)
    assert place.codes() == dict.fromkeys(runs, 0)
    assert sorted(place.lines("log")[3:]) == ["after", "greedy", "neighbour"]
    os.close(gate)


def test_nothing_starts_on_a_disk_that_is_full_already(place: Workplace, disk: Path) -> None:
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    os.truncate(filler, filler.stat().st_size - 65536)  # enough for the worker's own folder
    said = place.work(place.chunk({"run": 'echo up >> "$HERE/log"'}), code=2)
    assert "the disk is full" in said
    assert place.lines("log") == []


def test_a_store_without_space_keeps_nothing_of_what_was_written_on_a_scratch_disk(
    place: Workplace, disk: Path
) -> None:
    place.scratch = str(place.folder / "scratch")
    runs = {
        "small": 'echo small >> "$HERE/log"',
        "large": f'echo large >> "$HERE/log"; {TOO_MUCH}',
        "last": 'read x < "$HERE/gate"; echo last >> "$HERE/log"',
    }
    os.mkfifo(place.folder / "gate")
    gate = os.open(place.folder / "gate", os.O_RDWR)
    chunk = place.chunk(runs, nprocs=2)
    os.write(gate, b"go\n")
    said = place.work(chunk, code=2)
    assert "No space left on device" in said
    assert str(disk) in said
    assert place.code("large") is None
    assert os.listdir(disk / ".pydoit_sc/attempts") == []
    enlarge(disk)
    before = place.lines("log")
    missing = sorted(runs.keys() - place.codes())
    os.write(gate, b"go\n")
    place.work(chunk)
    assert place.codes() == dict.fromkeys(runs, 0)
    assert sorted(place.lines("log")[len(before) :]) == missing
    os.close(gate)


def test_file_systems_that_do_not_count_are_never_full() -> None:
    disks = Disks()
    for folder in ("/proc", "/sys", "/dev/shm"):  # no blocks, no blocks, plenty
        disks.watch(folder)
        disks.watch(folder)
    held = len(os.listdir("/proc/self/fd"))
    assert disks.full() == ""
    disks.close()
    assert held - len(os.listdir("/proc/self/fd")) == 3


def test_a_chunk_of_sc_names_a_scratch_disk_by_its_results(place: Workplace, disk: Path) -> None:
    results = place.folder / "scratch"
    results.mkdir()
    run = {
        "cmd": 'echo "$SATURN_RUN_LOCAL_RESULTS_DIR"; touch "$SATURN_RUN_LOCAL_RESULTS_DIR/x"',
        "remote_output_path": f"file://{disk}/a",
        "local_results_dir": f"{results}/0/",
    }
    chunk = place.folder / "chunk.json"
    chunk.write_text(json.dumps({"runs": [run], "remote_output_path": f"file://{disk}", "nprocs": 1}))
    place.work(chunk)
    assert place.read("a").decode().startswith(f"{results}/pydoit-sc-worker-")
    assert os.listdir(disk / "a" / "results") == ["x"]
    assert os.listdir(results) == []


def test_which_disk_is_a_scratch_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = str(tmp_path)
    assert scratch_disk(f"{here}/no/0/", "s3://bucket/x") == here
    assert scratch_disk(f"{here}/no/0/", "file:///proc/x") == here
    assert scratch_disk(f"{here}/no/0/", f"file://{here}/out") is None  # the store's own disk
    assert scratch_disk("/no/such/disk/0/", "s3://bucket/x") is None
    monkeypatch.setattr("tempfile.tempdir", here)
    assert scratch_disk(f"{here}/0123/", "s3://bucket/x") is None  # named by `sc` itself
