"""Submissions as an engine gets them: a batch in chunks that lie in its store."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydoit_sc.batch import OURS, Batch
from pydoit_sc.batchfile import load
from pydoit_sc.chunks.chunkfile import chunk_text
from pydoit_sc.engines.base import Engine, Group, Handed, JobState, State, Submission
from pydoit_sc.engines.registry import load_engine
from pydoit_sc.ledger import Ledger
from pydoit_sc.parts import in_order
from pydoit_sc.submissions.draft import new_submission
from tests.conftest import outputs

PATIENCE = 60.0  # seconds until a test gives up


def submission_of(batch: Batch, engine: str, table: Any, **changes: Any) -> Submission:
    """Put all runs of a batch into chunks in its store, a group for each stage, and return their submission."""
    kind = load_engine(engine).table
    batch = batch._replace(tables={engine: table if isinstance(table, kind) else kind(**table)})
    id_ = new_submission()
    scheme, _, path = batch.remote_output_path.partition("://")
    root = Path(path) if scheme == "file" else batch.folder / "elsewhere"
    chunks = root / OURS / "submissions" / id_
    chunks.mkdir(parents=True)
    ledger, groups, texts = Ledger(batch, {}), list[Group](), list[str]()
    after: list[tuple[int, ...] | None] = []
    size, nprocs = batch.batch_size or 1, batch.nprocs if isinstance(batch.nprocs, int) else 1
    for stage in in_order(batch.stages):
        items = [ledger.work(stage, run) for run in stage.runs]
        first = len(texts)
        for start in range(0, len(items), size):
            text = chunk_text(batch, items[start : start + size], nprocs=nprocs, submission=id_)
            (chunks / f"{len(texts)}.json").write_text(text)
            texts.append(text)
        groups.append(Group(first, len(texts) - first))
        after += [None if first else ()] * (len(texts) - first)
    folder = batch.folder / f"submission {id_}"
    folder.mkdir()
    given: dict[str, Any] = {"scale": batch.scale, "setup": "", **changes}
    return Submission(id_, batch, texts, str(chunks), groups, after, folder=str(folder), **given)


def handed(submission: Submission, jobs: Sequence[str]) -> Handed:
    """Return what the engine is asked about a submission."""
    return Handed(submission.id, submission.batch, submission.folder, jobs)


@dataclass
class Yard:
    """A folder with a batch whose runs write into `log`, and an engine."""

    folder: Path
    engine: Engine

    def submission(self, text: str, engine: str, table: Mapping[str, Any], **changes: Any) -> Submission:
        """Write a batchfile and return a submission of all its runs."""
        (self.folder / "batchfile.toml").write_text(text)
        return submission_of(load(self.folder / "batchfile.toml"), engine, table, **changes)

    def hand_in(self, submission: Submission) -> list[str]:
        """Do with the engine what `submit` does, and return the jobs."""
        Path(submission.folder, "logs").mkdir()
        for name, text in self.engine.prepare(submission).items():
            Path(submission.folder, name).write_text(text)
        return list(self.engine.submit(submission))

    def await_end(self, submission: Submission, jobs: Sequence[str]) -> None:
        """Wait until the engine says that all jobs have ended."""
        self.await_(lambda: set(self.states(submission, jobs)) == {State.ENDED})

    def states(self, submission: Submission, jobs: Sequence[str]) -> list[State]:
        """Return the states of jobs; those that the engine does not know have ended."""
        found = self.engine.poll([handed(submission, jobs)])
        return [found.get(job, JobState(State.ENDED)).state for job in jobs]

    def cancel(self, submission: Submission, jobs: Sequence[str]) -> None:
        """End jobs."""
        self.engine.cancel(handed(submission, jobs))

    def await_(self, what: Callable[[], object]) -> None:
        """Wait until something that cannot be waited for otherwise is so."""
        until = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < until, f"it did not happen in time; {self.log()}"
            time.sleep(0.02)

    def await_lines(self, count: int) -> None:
        """Wait until runs have written so many lines."""
        self.await_(lambda: len(self.log()) >= count)

    def log(self) -> list[str]:
        """Return what the runs have written."""
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def starts(self) -> Counter[str]:
        """Return how often each run was started, from lines `RUN:WORKER`."""
        return Counter(line.partition(":")[0] for line in self.log())

    def worker_of(self, run: str) -> int:
        """Return the process id of the worker that first started a run."""
        return int(next(line for line in self.log() if line.startswith(f"{run}:")).partition(":")[2])

    def codes(self) -> dict[str, int]:
        """Return the status codes of all that is published, by output."""
        root = self.folder / "out"
        return {
            str(path.parent.relative_to(root)): int(path.read_text())
            for path in outputs(root)
            if path.name == "status_code"
        }

    def history(self) -> list[str]:
        """Return the outputs that were replaced by others."""
        root = self.folder / "out" / OURS / "history"
        return sorted(str(path.parent.relative_to(root)) for path in root.rglob("status_code"))


def alive(pid: int) -> bool:
    """Say whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def processes_with(word: str) -> list[int]:
    """Return the processes that have a word among their arguments."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if word.encode() in Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0") and alive(int(name)):
                found.append(int(name))
    return found
