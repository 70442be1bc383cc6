"""Handing a submission over: what is in the store when the engine starts, and when it does not."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.batchfile import load
from pydoit_sc.engines import registry
from pydoit_sc.engines.base import EngineError, Handed, JobState, State, Submission
from pydoit_sc.engines.local import Local
from pydoit_sc.engines.stops import heed_stops
from pydoit_sc.errors import UserError
from pydoit_sc.ledger import Ledger
from pydoit_sc.store import Store, StoreError, open_store
from pydoit_sc.submissions.choose import Wanted, choose
from pydoit_sc.submissions.draft import Ready, make_draft, shape_of
from pydoit_sc.submissions.handover import UnderWayError, hand_over
from pydoit_sc.submissions.notes import read_notes
from pydoit_sc.survey import open_ledger

BATCH = """\
[batch]
remote_output_path = "out"
nprocs = 2
batch_size = 2
[runs.a]
cmd = "a {x}"
matrix = { x = [1, 2, 3] }
[runs.b]
cmd = "b"
after = ["a"]
"""


class Fake(Local):
    """An engine whose jobs run for ever, unless it refuses them."""

    def __init__(self, store: Store) -> None:
        self.store, self.refuses = store, False
        self.seen: list[str] = []
        self.cancelled: list[str] = []

    def submit(self, submission: Submission) -> Sequence[str]:
        self.seen = sorted(self.store.notes(f"submissions/{submission.id}"))
        if self.refuses:
            raise EngineError("no")
        return ["job"]

    def cancel(self, handed: Handed) -> None:
        self.cancelled += handed.jobs

    def poll(self, handed: Sequence[Handed]) -> dict[str, JobState]:
        return {job: JobState(State.RUNNING) for one in handed for job in one.jobs}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    engine = Fake(open_store(str(tmp_path / "out"), {}))
    monkeypatch.setattr(registry, "load_engine", lambda _: engine)
    return engine


def ready(folder: Path, engine: Fake) -> Ready:
    (folder / "batchfile.toml").write_text(BATCH)
    batch = load(folder / "batchfile.toml")
    ledger = open_ledger(batch, batch.stages, engine.store)
    choice = choose(ledger, Wanted(completed=False, failures=True), batch.stages, ordered=True)
    draft = make_draft(engine, ledger, choice, shape_of(engine, batch, always=False))
    return draft.ready(draft.stage(print))


def test_the_chunks_are_in_the_store_before_the_engine_starts(tmp_path: Path, engine: Fake) -> None:
    submission = ready(tmp_path, engine)
    note = hand_over(engine.store, engine, submission)
    names = ("0.json", "1.json", "2.json", "after.json")
    assert set(engine.seen) >= {f"submissions/{note.id}/{name}" for name in names}
    assert (note.chunks, note.runs, note.jobs) == (3, 4, ("job",))
    assert read_notes(engine.store) == [note]
    assert [(group.first, group.count) for group in submission.submission.groups] == [(0, 2), (2, 1)]
    orders = json.loads((tmp_path / f"out/.pydoit_sc/submissions/{note.id}/local.json").read_text())
    assert (orders["behind"], orders["after"]) == ([0, 0, 2], [[], [], []])


def test_a_second_one_is_refused_unless_forced(tmp_path: Path, engine: Fake) -> None:
    first = hand_over(engine.store, engine, ready(tmp_path, engine))
    with pytest.raises(UnderWayError, match=rf"submission {first.id} \(local\) is under way"):
        hand_over(engine.store, engine, ready(tmp_path, engine))
    hand_over(engine.store, engine, ready(tmp_path, engine), force=True)
    assert len(read_notes(engine.store)) == 2


def test_what_the_engine_refuses_has_ended(tmp_path: Path, engine: Fake) -> None:
    engine.refuses = True
    with pytest.raises(EngineError, match="no"):
        hand_over(engine.store, engine, ready(tmp_path, engine))
    assert [(note.jobs, note.ended) for note in read_notes(engine.store)] == [((), True)]


class Stopped(Fake):
    """An engine during whose start the program gets a signal; what waits without a limit looks for that."""

    waits = False

    def submit(self, submission: Submission) -> Sequence[str]:
        os.kill(os.getpid(), signal.SIGINT)
        if self.waits:
            heed_stops()
        return ["job"]


@pytest.mark.parametrize("waits", [False, True])
def test_ctrl_c_while_the_engine_starts_ends_what_it_has_started(tmp_path: Path, *, waits: bool) -> None:
    engine = Stopped(open_store(str(tmp_path / "out"), {}))
    engine.waits = waits
    jobs = [] if waits else ["job"]
    with pytest.raises(KeyboardInterrupt):
        hand_over(engine.store, engine, ready(tmp_path, engine), force=True)
    assert engine.cancelled == jobs
    assert [(note.jobs, note.ended) for note in read_notes(engine.store)] == [(tuple(jobs), True)]
    heed_stops()  # nothing is left of it
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Breaking(Fake):
    """An engine that starts its job while the store's notes of submissions cannot be written any more."""

    def __init__(self, store: Store, notes: Path) -> None:
        super().__init__(store)
        self.notes = notes

    def submit(self, submission: Submission) -> Sequence[str]:
        self.notes.rename(f"{self.notes}.away")
        self.notes.touch()
        return ["job"]

    def cancel(self, handed: Handed) -> None:
        super().cancel(handed)
        self.notes.unlink()
        Path(f"{self.notes}.away").rename(self.notes)
        if self.refuses:
            raise EngineError("no")


@pytest.mark.parametrize("refuses", [False, True])
def test_what_is_started_and_cannot_be_noted_is_ended(tmp_path: Path, *, refuses: bool) -> None:
    """Where that cannot be either, its note at least says what goes on, once it can be written."""
    engine = Breaking(open_store(str(tmp_path / "out"), {}), tmp_path / "out/.pydoit_sc/submitted")
    engine.refuses = refuses
    with pytest.raises(StoreError):
        hand_over(engine.store, engine, ready(tmp_path, engine), force=True)
    assert engine.cancelled == ["job"]
    assert [(note.jobs, note.ended) for note in read_notes(engine.store)] == [(("job",), not refuses)]


@pytest.mark.parametrize(
    "said", [{"nprocs": 4}, {"nprocs": "gpus", "at_most": 4}]
)  # by `split`, by `submit -n`
def test_a_run_of_more_slots_than_a_machine_has_is_submitted_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5")
    (tmp_path / "batchfile.toml").write_text(BATCH.replace("nprocs = 2\nbatch_size = 2", "slots = 5"))
    batch = load(tmp_path / "batchfile.toml")._replace(**said)
    ledger = Ledger(batch, {})
    choice = choose(ledger, Wanted(completed=False, failures=True), batch.stages, ordered=True)
    with pytest.raises(UserError, match=r"^b: expected `slots` of at most 4, .* found 5$"):
        make_draft(Local(), ledger, choice, shape_of(Local(), batch, always=False))
