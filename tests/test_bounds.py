"""What a run of a large batch costs does not grow with the batch: wide bounds, since machines differ."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from pydoit_sc import survey
from pydoit_sc.plan import plan
from pydoit_sc.project import Project
from pydoit_sc.verdicts import UP_TO_DATE, count

#: The runs of a small batch and of a large one.
SIZES = [(200, 2_000), pytest.param((2_000, 20_000), marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_MANY_HERE", 0)


Batches = dict[int, Path]  # by the number of their runs, the small one first


@pytest.fixture(scope="module", params=SIZES, ids=str)
def batches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Batches:
    """A small batch and a large one, nine in ten completed."""
    return {runs: _batch(tmp_path_factory.mktemp("batch"), runs) for runs in request.param}


def _batch(folder: Path, runs: int) -> Path:
    axes = f"a = {{range = [0, {runs // 20}, 1]}}, b = {{range = [0, 20, 1]}}"
    (folder / "batchfile.toml").write_text(
        f'[batch]\nremote_output_path = "out"\n[runs.each]\ncmd = "echo {{a}} {{b}}"\nmatrix = {{{axes}}}\n'
    )
    project = Project.load(str(folder / "batchfile.toml"))
    (stage,), ledger = project.batch.stages, project.ledger
    (folder / "out" / "each").mkdir(parents=True)
    (folder / "status_code").write_text("0")
    for run in stage.runs[: runs * 9 // 10]:
        place = f"{folder}/out/{run.key}"
        os.mkdir(place)
        said = {
            "fingerprint": ledger.fingerprint(run), "attempt": "w-1", "status_code": 0, "started": 1.5,
            "finished": 2.5, "host": "h", "rank": 0, "cpu_seconds": 0.5, "files": {},
        }  # fmt: skip
        with open(f"{place}/run.json", "w", encoding="utf-8") as file:
            json.dump(said, file)
        os.link(folder / "status_code", f"{place}/status_code")
    return folder


def _plan(folder: Path) -> Project:
    project = Project.load(str(folder / "batchfile.toml"))
    project.needs_verdicts_only = True
    size = project.batch.size
    verdicts = count((item.verdict for item in plan(project.ledger, project.batch.stages)), size)
    assert verdicts[UP_TO_DATE] == size * 9 // 10
    return project


def _seconds(folder: Path) -> float:
    begin = time.process_time()
    _plan(folder)
    return time.process_time() - begin


def test_the_cost_of_a_run_stays_the_same(batches: Batches) -> None:
    small, large = (min(_seconds(folder) for _ in range(3)) / runs for runs, folder in batches.items())
    assert large <= 1.5 * small


def test_the_memory_of_a_run_stays_small(batches: Batches) -> None:
    kept, peaks = [], []
    for folder in batches.values():
        _plan(folder)  # what is imported and remembered is there
        tracemalloc.start()
        try:
            project = _plan(folder)
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert not project.ledger.records
        kept.append(now)
        peaks.append(peak)
    small, large = batches
    assert (kept[1] - kept[0]) / (large - small) < 80, kept  # bytes
    assert (peaks[1] - peaks[0]) / (large - small) < 300, peaks


@pytest.mark.slow
def test_a_worker_keeps_nothing_of_what_it_has_executed(tmp_path: Path) -> None:
    """Where no run comes after it: from the thousandth run on its memory stays what it is."""
    (tmp_path / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "out"\ndurable = false\n'
        '[runs.each]\ncmd = ":"\nmatrix = {n = {range = [0, 3000, 1]}}\n'
    )
    sizes: dict[int, int] = {}  # kilobytes, by how many runs had been executed
    words = [sys.executable, "-m", "pydoit_sc", "run", "-n", "2", "--quiet"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL) as worker:
        while worker.poll() is None:
            with suppress(FileNotFoundError):
                sizes[len(os.listdir(tmp_path / "out/each"))] = resident(worker.pid)
            time.sleep(0.02)
    first, *_, last = (count for count, size in sizes.items() if count >= 1000 and size)
    assert last - first > 1500
    assert sizes[last] - sizes[first] < 512


def resident(pid: int) -> int:
    """Return how many kilobytes of memory a process has; 0 where it has ended."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0
