"""Several workers at the same runs, on a file system: each run is executed once."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from pydoit_sc.store import HeldError
from pydoit_sc.store import folders as module
from pydoit_sc.store.holds import Holds
from pydoit_sc.store.posix import PosixStore
from tests.conftest import HEAD, Box, until
from tests.starts import PROGRAMS
from tests.worker.workplace import Workplace, finish

RUNS = 60


@pytest.mark.parametrize("other", ["run", "batch .pydoit_sc/commands/0.json"])
def test_run_and_another_one_at_one_batch(box: Box, other: str) -> None:
    """Runs that fail are executed once, too: the other one, which has planned before, takes the failure as it is."""
    box.batchfile(
        HEAD
        + f"""batch_size = {RUNS}

[runs.a]
cmd = "echo {{x}} >> log; case {{x}} in 0|1) until [ -e go ]; do sleep 0.01; done;; *3) echo no {{x}} >&2; exit 1;; esac"
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
    assert "6 × exit 1  no " in said[0]  # whoever has executed them


@pytest.mark.parametrize("order", ["boot a", "a boot"])
def test_a_run_that_runs_its_own_batch(box: Box, order: str) -> None:
    """It is left out, and what comes after it; all others are executed."""
    stages = {
        "boot": f'[runs.boot]\ncmd = "{PROGRAMS}/pydoit-sc run; echo $?"\n[runs.b]\ncmd = "true"\nafter = ["boot"]\n',
        "a": '[runs.a]\ncmd = "echo {x} >> log"\nmatrix = { x = [1, 2, 3] }\n',
    }
    box.batchfile(HEAD.replace("nprocs = 2", "nprocs = 1") + "".join(stages[name] for name in order.split()))
    assert box("run", "boot").code == 0
    assert box.executed() == ["1", "2", "3"]
    assert box.out("boot/stdout").splitlines()[1:] == [
        "3 completed, 2 not executed, in 0:00",
        "1 run was not started: it has started or submitted this worker itself, and is not waited for (boot)",
        "1 incomplete: waits for boot (not started)",
        "2",
    ]


def test_a_run_that_submits_its_own_batch(box: Box) -> None:
    submit = f"{PROGRAMS}/pydoit-sc submit --force --engine local boot a --wait"
    box.batchfile(
        HEAD
        + f'[runs.boot]\ncmd = "{submit}; echo $?"\n'
        + '[runs.a]\ncmd = "echo {x} >> log"\nmatrix = { x = [1, 2, 3] }\n'
    )
    assert box("run", "boot").code == 0
    assert box.executed() == ["1", "2", "3"]
    assert box.out("boot/stdout").splitlines()[-1] == "2"
    (log,) = (box.folder / "out/.pydoit_sc/submissions").glob("*/logs/*.log")
    assert log.read_text().count("it has started or submitted this worker itself, and is not waited for") == 1


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


def test_workers_that_die_while_they_hold_a_run_are_counted(tmp_path: Path) -> None:
    """Those in a row, whatever others have written there; a worker that ends is none of them."""
    folder = tmp_path / "holds"
    folder.mkdir()

    def take(worker: str) -> tuple[int, Holds]:
        holds, own = Holds(str(folder), str(tmp_path)), tmp_path / worker
        own.mkdir()
        (own / "worker.json").touch()
        try:
            return holds.take(worker, "deep/run"), holds
        finally:
            shutil.rmtree(own)  # now it is dead

    assert [take(f"w{n}")[0] for n in range(4)] == [0, 1, 2, 3]
    deaths, holds = take("w4")
    assert deaths == 4
    holds.release_all()
    assert take("w5")[0] == 0
    (path,) = folder.iterdir()
    for planted in ("w+9999999", "w+x", "w+", "w+-1", "w+1+1", "w+\u0661"):
        path.unlink()
        path.symlink_to(planted)
        assert take("w6")[0] == 1
    if os.geteuid() == 0:  # who can be another user
        path.unlink()
        path.symlink_to("w+2")
        os.lchown(path, 65534, -1)
        assert take("w7")[0] == 0


def test_a_worker_that_ends_holds_nothing(tmp_path: Path) -> None:
    store = PosixStore(str(tmp_path))
    with store.workspace("w1", None):
        hold(store, "w1", "run")
        hold(store, "w1", "taken over")
        for path in (tmp_path / ".pydoit_sc/holds").iterdir():
            if path != Path(store._holds._path("run")):
                path.unlink()
                path.symlink_to("w2+1")
    assert [path.readlink() for path in (tmp_path / ".pydoit_sc/holds").iterdir()] == [Path("w2+1")]


def hold(store: PosixStore, worker: str, key: str) -> None:
    """Hold a run; raises HeldError where another worker has it."""
    answer = store.hold(worker, [key])[key]
    if isinstance(answer, HeldError):
        raise answer


def test_a_hold_ends_with_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of a worker on another machine that shows no sign of life, and whatever lies in its place."""
    store, other = PosixStore(str(tmp_path)), PosixStore(str(tmp_path))
    with store.workspace("w1", None) as one, other.workspace("w2", None):
        hold(store, "w1", "deep/run")
        with pytest.raises(HeldError, match=r"worker w1 on .* executes it"):
            hold(other, "w2", "deep/run")
        hold(other, "w2", "another")
        own = os.path.dirname(one)
        os.utime(f"{own}/worker.json", (0, 0))
        hold(other, "w2", "deep/run")
        with pytest.raises(HeldError, match="worker w2"):
            hold(store, "w1", "deep/run")
        other.release("deep/run")
        hold(store, "w1", "deep/run")
        monkeypatch.setattr(module, "machine", lambda: "another machine")
        module.touch(own)
        with pytest.raises(HeldError):
            hold(other, "w2", "deep/run")
    with store.workspace("w3", None):
        for name in os.listdir(tmp_path / ".pydoit_sc/holds"):
            path = tmp_path / ".pydoit_sc/holds" / name
            path.unlink()
            path.mkdir()
        hold(store, "w3", "deep/run")
