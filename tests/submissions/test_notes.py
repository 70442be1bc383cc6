"""Notes of submissions in the store."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch
from pydoit_sc.engines.base import EngineError, Handed, JobState, State
from pydoit_sc.engines.local import Local
from pydoit_sc.store import Record, open_store
from pydoit_sc.submissions import notes
from pydoit_sc.submissions.notes import (
    JobStates,
    ask,
    claim,
    has_ended,
    new_note,
    outcomes,
    read_notes,
    under_way,
    write_note,
)

BATCH = Batch("b", Path("/b.toml"), "file:///out", ())


class Fixed(Local):
    """An engine whose jobs stand as they are told to."""

    def __init__(self, states: dict[str, State]) -> None:
        self.states = states

    def poll(self, handed: Sequence[Handed]) -> dict[str, JobState]:
        return {job: JobState(self.states.get(job, State.ENDED)) for one in handed for job in one.jobs}


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, State]], None]:
    """Let every engine answer so from now on."""
    return lambda states: monkeypatch.setattr(notes, "engine_for", lambda *_: Fixed(states))


def test_submissions_in_the_store(
    tmp_path: Path, answer: Callable[[dict[str, State]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path), {})
    states = {"j1": State.RUNNING, "j2": State.ENDED}
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    one, two, three = (new_note(id=f"2026-{n}", jobs=(f"j{n}",), **common) for n in (1, 2, 3))
    write_note(store, one)
    write_note(store, two)
    (tmp_path / ".pydoit_sc/submitted/torn.json").write_text('{"id": ')
    assert {note.id for note in read_notes(store)} == {"2026-1", "2026-2"}
    answer(states)
    assert [note.id for note in under_way(store, BATCH)] == ["2026-1"]
    assert [note.ended for note in read_notes(store)] == [False, True]
    assert [note.id for note in claim(store, three, BATCH)] == ["2026-1"]
    answer({})
    assert claim(store, three, BATCH) == []

    def broken(*_: object) -> Fixed:
        raise EngineError("no answer")

    monkeypatch.setattr(notes, "engine_for", broken)
    assert ask([one], BATCH)["2026-1"].under_way
    counted = outcomes([one, two], [Record(0, "", "", "2026-1"), Record(3, "", "", "2026-1"), Record(0)])
    assert counted == {"2026-1": (1, 1), "2026-2": (0, 0)}


def test_two_that_submit_at_the_same_moment(
    tmp_path: Path, answer: Callable[[dict[str, State]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither has seen the other before it wrote its own note: this one draws back, and the other goes on."""
    store = open_store(str(tmp_path), {})
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    other, mine = new_note(id="a", **common), new_note(id="b", **common)
    looks = []

    answer({"j": State.RUNNING})

    def first_look(*_: object) -> list[object]:
        looks.append(1)
        if len(looks) > 1:
            return list(under_way(store, BATCH))
        write_note(store, other)
        return []

    def other_goes_on(_: float) -> None:
        assert {note.id: note.ended for note in read_notes(store)} == {"a": False, "b": True}
        write_note(store, other.but(jobs=("j",)))

    monkeypatch.setattr(notes, "under_way", first_look)
    monkeypatch.setattr(time, "sleep", other_goes_on)
    assert [note.id for note in claim(store, mine, BATCH)] == ["a"]


def test_a_submission_that_was_given_up(tmp_path: Path, answer: Callable[[dict[str, State]], None]) -> None:
    """Its process is no more, so it does not hinder the next one."""
    store = open_store(str(tmp_path), {})
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    note = new_note(id="a", **common)
    assert note.being_made
    write_note(store, note.but(pid=process.pid))
    answer({})
    assert claim(store, new_note(id="b", **common), BATCH) == []


def test_no_wait_for_a_note_of_long_ago(tmp_path: Path) -> None:
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    assert not new_note(id="a", **common).but(when=time.time() - 3600).being_made


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": "j"},
        {"jobs": ["--all"]},
        {"jobs": [1]},
        {"when": "now"},
        {"when": 1e300},
        {"id": "../../x"},
        {"pid": None},
        {"id": "-x"},
        {"id": "x" * 65},
        {"jobs": ["a\nb"]},
        {"jobs": [""]},
        {"engine": "../x"},
        {"nprocs": "many"},
        {"ended": 1},
    ],
    ids=str,
)
def test_what_is_no_note(tmp_path: Path, change: dict[str, object]) -> None:
    """Anybody may write into a store: what is not exactly a note is left out."""
    store = open_store(str(tmp_path), {})
    good = new_note(id="a", engine="x", batch="b", chunks=1, runs=2, nprocs="cores", scale=None, jobs=("j",))
    write_note(store, good)
    assert read_notes(store) == [good]
    data = {**json.loads(good.model_dump_json()), **change}
    store.write_note("submitted/a.json", json.dumps(data).encode())
    store.write_note("submitted/b.json", b"[" * 100_000)
    store.write_note("submitted/c.json", good.to_json())  # of another name than its id
    assert read_notes(store) == []


def test_a_note_that_says_more(tmp_path: Path) -> None:
    """A later version may say more; whose a note is, is asked of the store alone."""
    store = open_store(str(tmp_path), {})
    good = new_note(id="a", engine="x", batch="b\udc80", chunks=1, runs=2, nprocs=1, scale=None, jobs=("j",))
    write_note(store, good)
    assert read_notes(store) == [good]
    store.write_note(
        "submitted/a.json", json.dumps({**json.loads(good.to_json()), "more": 1, "mine": False}).encode()
    )
    assert read_notes(store) == [good]


def test_jobs_that_mean_nothing_to_their_engine() -> None:
    note = new_note(id="a", engine="local", batch="b", chunks=1, runs=2, nprocs=1, scale=None, jobs=("x",))
    assert not ask([note], BATCH)["a"].under_way


def test_what_is_said_of_jobs() -> None:
    """Each reason once, however many jobs it is of."""
    jobs = {
        "a": JobState(State.HELD),
        "b": JobState(State.UNKNOWN, "far"),
        "c": JobState(State.UNKNOWN, "far"),
    }
    states = JobStates(jobs)
    assert (states.count(), states.under_way, states.known_under_way) == ("1 held, 2 unknown", True, True)
    assert states.held() == {"a": "the engine does not say why"}
    assert states.doubts() == ["far"]
    assert not JobStates({"b": jobs["b"]}).known_under_way
    assert JobStates({}, "no answer").doubts() == ["no answer"]


@pytest.mark.parametrize(
    ("states", "done", "ended"),
    [
        ([State.ENDED, State.ENDED], (0, 0), True),
        ([State.ENDED, State.UNKNOWN], (1, 1), True),
        ([State.ENDED, State.UNKNOWN], (1, 0), False),
        ([State.RUNNING, State.UNKNOWN], (1, 1), False),
    ],
)
def test_what_has_ended(states: list[State], done: tuple[int, int], *, ended: bool) -> None:
    note = new_note(id="a", engine="x", batch="b", chunks=2, runs=2, nprocs=1, scale=None, jobs=("0", "1"))
    jobs = {str(n): JobState(state) for n, state in enumerate(states)}
    assert has_ended(note, JobStates(jobs), done) == ended
    assert has_ended(note, JobStates({}, "no answer"), (2, 0))


def test_only_an_engine_of_the_batchfile_is_asked() -> None:
    note = new_note(id="a", engine="dask", batch="b", chunks=1, runs=2, nprocs=1, scale=None, jobs=("x",))
    assert ask([note], BATCH)["a"].unknown == (
        '/b.toml has no table [dask], so the engine "dask" is not asked about a submission to it'
    )
