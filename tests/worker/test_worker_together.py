"""Several workers at the same runs, on a file system: each run is executed once."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from pydoit_sc.store import HeldError
from pydoit_sc.store import folders as module
from pydoit_sc.store.posix import PosixStore
from tests.conftest import HEAD, Box, until
from tests.worker.workplace import Workplace, finish

pytest_plugins = ["tests.worker.worker_fixtures"]

RUNS = 60


@pytest.mark.parametrize("other", ["run", "batch .pydoit_sc/commands/0.json"])
def test_run_and_another_one_at_one_batch(box: Box, other: str) -> None:
    """Runs that fail are executed once, too: the other one, which has planned before, takes the failure as it is."""
    box.batchfile(
        HEAD
        + f"""batch_size = {RUNS}

[runs.a]
cmd = "echo {{x}} >> log; case {{x}} in 0|1) until [ -e go ]; do sleep 0.01; done;; *3) exit 1;; esac"
matrix = {{ x = {{ range = [0, {RUNS}] }} }}
"""
    )
    box.ok("run", "split")
    with box.start("run", "-n", "2") as one, box.start(*other.split()) as two:
        log = box.folder / "log"
        until(
            lambda: log.exists() and "2" in log.read_text().split()
        )  # only the one that 0 and 1 do not hold up
        (box.folder / "go").touch()
        said = [process.communicate(timeout=60)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (1, int(other == "run")), said
    assert sorted(box.executed()) == sorted(map(str, range(RUNS)))


def test_four_workers_at_one_chunk(place: Workplace) -> None:
    chunk = place.chunk({str(n): f"echo {n} >> $HERE/log; sleep 0.01" for n in range(RUNS)})
    workers = [place.start(chunk) for _ in range(4)]
    for worker in workers:
        finish(worker, 0)
    assert Counter((place.folder / "log").read_text().split()) == Counter(map(str, range(RUNS)))
    assert {place.code(str(n)) for n in range(RUNS)} == {0}
    assert os.listdir(place.out / ".pydoit_sc/holds") == []


def test_a_killed_workers_runs_are_executed_at_once(place: Workplace) -> None:
    chunk = place.chunk({"a": "echo a > $EVENTS; test -e $HERE/again || sleep 60"})
    first = place.start(chunk)
    place.hear()
    second = place.start(chunk)
    (place.folder / "again").touch()
    first.kill()
    finish(second, 0)
    first.communicate(timeout=60)
    assert place.code("a") == 0


def test_a_hold_ends_with_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of a worker on another machine that shows no sign of life, and whatever lies in its place."""
    store, other = PosixStore(str(tmp_path)), PosixStore(str(tmp_path))
    with store.workspace("w1", None) as one, other.workspace("w2", None):
        store.hold("w1", "deep/run")
        with pytest.raises(HeldError, match=r"worker w1 on .* executes it"):
            other.hold("w2", "deep/run")
        other.hold("w2", "another")
        os.utime(f"{one}/worker.json", (0, 0))
        other.hold("w2", "deep/run")
        with pytest.raises(HeldError, match="worker w2"):
            store.hold("w1", "deep/run")
        other.release("deep/run")
        store.hold("w1", "deep/run")
        monkeypatch.setattr(module, "machine", lambda: "another machine")
        module.touch(one)
        with pytest.raises(HeldError):
            other.hold("w2", "deep/run")
    with store.workspace("w3", None):
        for name in os.listdir(tmp_path / ".pydoit_sc/holds"):
            path = tmp_path / ".pydoit_sc/holds" / name
            path.unlink()
            path.mkdir()
        store.hold("w3", "deep/run")
