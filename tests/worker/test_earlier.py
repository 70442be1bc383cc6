"""What must be completed before a chunk of a later stage starts, and the fingerprints that it then has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pydoit_sc.batch import Run, Settings
from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.fingerprint import digest_runs
from pydoit_sc.plan import Work
from pydoit_sc.store import Record, Store, StoreError, open_store
from pydoit_sc.worker.earlier import NotCompletedError, after_earlier, incomplete, note_name, with_attempts

WORK = Work("plot", Run("plot", "true", "plot", Settings()), "file:///out/plot", "1-2-3-0")
CHUNK = Chunk([WORK], "file:///out", 1, "s1", after=["a", "b"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}", {}, durable=False)


def publish(folder: Path, key: str, code: int, fingerprint: str) -> None:
    run = folder / key
    run.mkdir(parents=True)
    (run / "status_code").write_text(str(code))
    (run / "run.json").write_text(json.dumps({"attempt": f"of-{key[-1]}", "fingerprint": fingerprint}))


def test_a_chunk_of_the_first_stage_needs_nothing(store: Store) -> None:
    chunk = Chunk([WORK], "file:///out", 1, "s1")
    assert after_earlier(store, chunk) is chunk


def test_a_chunk_waits_for_every_run_of_the_stages_before_it(store: Store, tmp_path: Path) -> None:
    store.write_note(
        note_name("s1"),
        json.dumps({"a": {"a/1": "f1", "a/2": "f2"}, "b": {"b": "f"}, "copy": {}, "_x": {}, "": {}}).encode(),
    )
    publish(tmp_path, "a/1", 0, "f1")
    publish(tmp_path, "a/2", 1, "f2")
    with pytest.raises(NotCompletedError, match=r"not completed: 1 of `a`, 1 of `b`$"):
        after_earlier(store, CHUNK)


def test_the_fingerprints_tell_which_attempts_came_before(store: Store, tmp_path: Path) -> None:
    store.write_note(note_name("s1"), json.dumps({"a": {"a/1": "f1"}, "b": {}}).encode())
    publish(tmp_path, "a/1", 0, "f1")
    (work,) = after_earlier(store, CHUNK).works
    assert work.fingerprint == f"1-2-3-{digest_runs([('a/1', 'of-1')])}"


@pytest.mark.parametrize(
    "note", [None, b"{", b"[]", b'{"a": {}}', b'{"a": [], "b": {}}', b'{"a": {"a": 1}, "b": {}}', b"[" * 9999]
)
def test_a_note_that_is_missing_or_torn_is_named(store: Store, note: bytes | None) -> None:
    if note is not None:
        store.write_note(note_name("s1"), note)
    with pytest.raises(StoreError, match=r"/\.pydoit_sc/submissions/s1/after\.json: .*; submit again"):
        after_earlier(store, CHUNK)


def test_an_outcome_counts_if_the_submission_wants_it() -> None:
    earlier = {"a": {"a/1": "f1"}}
    assert incomplete(CHUNK, earlier, {}) == {"a": 1}
    assert incomplete(CHUNK, earlier, {"a/1": Record(1, "x", "f1", "s1")}) == {"a": 1}
    assert incomplete(CHUNK, earlier, {"a/1": Record(0, "x", "changed", "older")}) == {"a": 1}
    assert incomplete(CHUNK, earlier, {"a/1": Record(0, "x", "f1", "older")}) == {}
    assert incomplete(CHUNK, earlier, {"a/1": Record(0, "x", "changed", "s1")}) == {}


def test_the_order_of_the_earlier_runs_makes_no_difference() -> None:
    records = {key: Record(0, f"of {key}", "f", "s1") for key in ("a/1", "a/2")}
    backwards = dict(reversed(records.items()))
    assert with_attempts(CHUNK, records) == with_attempts(CHUNK, backwards)
