"""A chunk executed in this process: what is skipped, what is shown, and the exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.batch import Batch, Run, Settings
from pydoit_sc.chunks.chunk import Before, Chunk
from pydoit_sc.ledger import Work
from pydoit_sc.store import Record, StoreError
from pydoit_sc.store.posix import PosixStore
from pydoit_sc.worker import execute
from pydoit_sc.worker.execute import execute_chunk
from pydoit_sc.worker.executor import Executor
from tests.test_git import do


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of its own, and no scheduler around the tests."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("SLURM_"):
            monkeypatch.delenv(name)
    yield


def chunk_of(
    cmds: Mapping[str, str], submission: str = "s1", max_failures: int | None = None, **how: Any
) -> Chunk:
    """Return a chunk of these commands by name."""
    root, settings = f"file://{Path.cwd()}/out", Settings()
    works = [
        Work(f"a:{name}", Run(name, cmd, name, settings), f"{root}/{name}", "now")
        for name, cmd in cmds.items()
    ]
    batch = Batch("b", Path(), root, (), nprocs=1, durable=False, max_failures=max_failures)
    return Chunk(works, batch, submission, **how)


def log() -> list[str]:
    return Path("log").read_text().split()


def test_a_chunk_is_executed_once(capsys: pytest.CaptureFixture[str]) -> None:
    chunk = chunk_of({name: f"echo {name} >> log" for name in "ab"}, always=True)
    assert execute_chunk(chunk) == 0
    assert capsys.readouterr().out.startswith("2 of 2 runs to execute\n2 completed, in 0:0")
    assert execute_chunk(chunk) == 0
    assert capsys.readouterr().out == "0 of 2 runs to execute\n"
    assert log() == ["a", "b"]


def test_failed_runs_count_where_that_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    chunk = chunk_of({"good": "true", "bad": "echo oops >&2; exit 7"})
    assert execute_chunk(chunk, quiet=True) == 0
    assert capsys.readouterr().out == "failed a:bad: status code 7\n    oops\n"
    assert execute_chunk(chunk, quiet=True, strict=True) == 1
    assert capsys.readouterr().out == "failed a:bad: status code 7\n    oops\n"


def test_an_outcome_names_the_commit_of_the_code(tmp_path: Path) -> None:
    do(tmp_path, "init", "-q")
    Path("log").write_text("")
    do(tmp_path, "add", ".")
    do(tmp_path, "commit", "-qm", "one")
    assert execute_chunk(chunk_of({"a": "echo a >> log", "b": "true"}), quiet=True) == 0
    head = {"commit": do(tmp_path, "rev-parse", "HEAD"), "dirty": False}  # when the worker started
    assert [json.loads(Path(f"out/{name}/run.json").read_text())["code"] for name in "ab"] == [head, head]


def test_it_stops_after_too_many_failures(capsys: pytest.CaptureFixture[str]) -> None:
    chunk = chunk_of({str(n): f"echo {n} >> log; exit 1" for n in range(4)}, max_failures=2)
    assert execute_chunk(chunk) == 1
    assert capsys.readouterr().err == "2 runs are left: stopped after 2 failures (`max_failures`)\n"
    assert log() == ["0", "1"]


def test_it_stops_where_the_first_runs_fail_alike(capsys: pytest.CaptureFixture[str]) -> None:
    cmds = {str(n): "echo 'no module named x' >&2; exit 1" for n in range(40)}
    assert execute_chunk(chunk_of(cmds), quiet=True) == 1
    left, said = capsys.readouterr().err.split(": ", 1)
    assert 40 - int(left.removesuffix(" runs are left")) in range(20, 24)
    assert said.startswith(
        "stopped: 20 runs failed in the same way and none has completed: exit 1, `no module named x`;"
    )


def test_it_goes_on_where_a_run_of_the_chunk_was_completed_before() -> None:
    good = chunk_of({"good": "true"})
    assert execute_chunk(good, quiet=True) == 0
    bad = chunk_of({"good": "true", **{str(n): "exit 1" for n in range(24)}})
    assert execute_chunk(bad, quiet=True) == 0
    assert len(list(Path("out").glob("*/status_code"))) == 25


def test_what_has_failed_is_not_executed_again_where_slurm_starts_its_job_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chunk = chunk_of({"bad": "echo bad >> log; exit 1", "good": "echo good >> log"})
    assert execute_chunk(chunk._replace(works=chunk.works[:1]), quiet=True) == 0
    monkeypatch.setenv("PYDOIT_SC_REQUEUE", "1")
    capsys.readouterr()
    assert execute_chunk(chunk) == 0
    assert capsys.readouterr().out.startswith("1 of 2 runs to execute\n1 completed, 1 skipped, in 0:0")
    assert log() == ["bad", "good"]
    later = chunk_of({"bad": "echo bad >> log; exit 1"}, "s2")
    assert execute_chunk(later, quiet=True) == 0
    assert log() == ["bad", "good", "bad"]
    monkeypatch.delenv("PYDOIT_SC_REQUEUE")
    assert execute_chunk(later, quiet=True) == 0
    assert log() == ["bad", "good", "bad", "bad"]


def test_failures_before_its_job_was_started_again_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYDOIT_SC_REQUEUE", "1")
    chunk = chunk_of({str(n): f"echo {n} >> log; exit 1" for n in range(4)}, max_failures=2)
    assert execute_chunk(chunk._replace(works=chunk.works[:1]), quiet=True) == 0
    for _ in range(2):
        capsys.readouterr()
        assert execute_chunk(chunk, quiet=True) == 1
        assert capsys.readouterr().err == "2 runs are left: stopped after 2 failures (`max_failures`)\n"
        assert log() == ["0", "1"]


def test_the_store_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []

    def scan(store: PosixStore, keys: Iterable[str]) -> dict[str, Record]:
        scans.append(list(keys))
        return scanned(store, scans[-1])

    scanned = PosixStore.scan
    monkeypatch.setattr(PosixStore, "scan", scan)
    chunk = chunk_of({"1": "true", "2": "true"}, before={})
    waits = {chunk.works[1].output: (Before(runs={"earlier": "f"}),)}
    assert execute_chunk(chunk._replace(before=waits), quiet=True) == 2
    assert scans == [["1", "2", "earlier"]]


def test_no_run_is_executed_before_those_that_it_comes_after(capsys: pytest.CaptureFixture[str]) -> None:
    chunk = chunk_of({name: f"echo {name} >> log" for name in "xyz"})
    before = {work.output: [Before("b")] for work in chunk.works[:2]}
    chunk = chunk._replace(before=before)
    note = Path("out/.pydoit_sc/submissions/s1/after.json")
    note.parent.mkdir(parents=True)
    note.write_text('{"b": {"b/1": "now"}}')
    assert execute_chunk(chunk) == 2
    assert capsys.readouterr().err == "2 incomplete: waits for b:1 (not completed)\n"
    assert log() == ["z"]


def test_a_run_whose_place_is_taken_while_it_executes_is_told_and_ends_no_worker(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chunk = chunk_of({"a": "echo a >> log", "b": "mkdir -p out/b/notes", "c": "echo c >> log"})
    assert execute_chunk(chunk) == 2
    assert log() == ["a", "c"]
    said = capsys.readouterr()
    assert "2 completed, 1 not executed" in said.out and said.err == ""
    assert (
        "failed a:b: " in said.out and "out/b has `notes`, which is of no run, and stays as it is" in said.out
    )


def test_what_the_worker_before_has_completed_is_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is looked at again when it is held: another worker may have had it meanwhile."""
    chunk = chunk_of({name: f"echo {name} >> log" for name in "ab"})
    really = execute._watch

    def watch(*args: object) -> int:
        monkeypatch.setattr(execute, "_watch", really)
        assert execute_chunk(chunk._replace(works=chunk.works[:1]), quiet=True) == 0
        return really(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(execute, "_watch", watch)
    assert execute_chunk(chunk) == 0
    assert "2 completed, in 0:0" in capsys.readouterr().out
    assert log() == ["a", "b"]


def test_an_error_of_the_store_ends_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object) -> Iterator[None]:
        raise StoreError("the disk is on fire")
        yield

    monkeypatch.setattr(Executor, "run", run)
    assert execute_chunk(chunk_of({"x": "true"})) == 2
    assert capsys.readouterr().err == "ERROR: the disk is on fire\n"
