"""What must be completed before a chunk of a later stage starts, and the fingerprints that it then has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch, Run, Settings, Status
from pydoit_sc.chunks.chunk import Before, Chunk
from pydoit_sc.fingerprint import after_part, digest_attempt
from pydoit_sc.ledger import Work
from pydoit_sc.store import Record, Store, StoreError, open_store
from pydoit_sc.worker.earlier import after_earlier, checked, note_name

WORK = Work("plot", Run("plot", "true", "plot", Settings()), "file:///out/plot", "1-2-3-0")
BATCH = Batch("b", Path(), "file:///out", ())
CHUNK = Chunk([WORK], BATCH, "s1", before={"file:///out/plot": [Before("a"), Before("b")]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}", {}, durable=False)


def publish(folder: Path, key: str, code: int, fingerprint: str) -> None:
    run = folder / key
    run.mkdir(parents=True)
    (run / "status_code").write_text(str(code))
    (run / "run.json").write_text(json.dumps({"attempt": f"of-{key[-1]}", "fingerprint": fingerprint}))


def test_a_chunk_of_the_first_stage_needs_nothing(store: Store) -> None:
    chunk = Chunk([WORK], BATCH, "s1")
    assert after_earlier(store, chunk) == (chunk, [], {})


def test_a_chunk_waits_for_every_run_of_the_stages_before_it(store: Store, tmp_path: Path) -> None:
    store.write_note(
        note_name("s1"),
        json.dumps({"a": {"a/1": "f1", "a/2": "f2"}, "b": {"b": "f"}, "copy": {}, "_x": {}, "": {}}).encode(),
    )
    publish(tmp_path, "a/1", 0, "f1")
    publish(tmp_path, "a/2", 1, "f2")
    chunk, held, _ = after_earlier(store, CHUNK)
    assert (chunk.works, [verdict.words for verdict in held]) == ([], ["waits for a:2 (failed)"])


def test_the_fingerprints_tell_which_attempts_came_before(store: Store, tmp_path: Path) -> None:
    store.write_note(note_name("s1"), json.dumps({"a": {"a/1": "f1"}, "b": {}}).encode())
    publish(tmp_path, "a/1", 0, "f1")
    publish(tmp_path, "plot", 0, "old")
    chunk, _, records = after_earlier(store, CHUNK)
    (work,) = chunk.works
    assert {key: record.attempt for key, record in records.items()} == {"plot": "of-t", "a/1": "of-1"}
    assert work.fingerprint == f"1-2-3-{after_part(digest_attempt('a/1', 'of-1'))}"


@pytest.mark.parametrize(
    "note", [None, b"{", b"[]", b'{"a": {}}', b'{"a": [], "b": {}}', b'{"a": {"a": 1}, "b": {}}', b"[" * 9999]
)
def test_a_note_that_is_missing_or_torn_is_named(store: Store, note: bytes | None) -> None:
    if note is not None:
        store.write_note(note_name("s1"), note)
    with pytest.raises(StoreError, match=r"/\.pydoit_sc/submissions/s1/after\.json: .*; submit again"):
        after_earlier(store, CHUNK)


@pytest.mark.parametrize(
    ("record", "held"),
    [
        (None, ["waits for a:1 (not completed)"]),
        (Record(1, "x", "f1", "s1"), ["waits for a:1 (failed)"]),
        (Record(0, "x", "changed", "older"), ["waits for a:1 (not completed)"]),
        (Record(0, "x", "f1", "older"), []),
        (Record(0, "x", "changed", "s1"), []),
    ],
)
def test_an_outcome_counts_if_the_submission_wants_it(record: Record | None, held: list[str]) -> None:
    records = {"a/1": record} if record else {}
    _, found = checked(CHUNK, {"a": {"a/1": "f1"}, "b": {}}, records)
    assert [verdict.words for verdict in found] == held


def test_each_run_waits_for_its_own() -> None:
    """One earlier run has failed: only the run that comes after it is left out."""
    works = [
        Work(f"c:{n}", Run(n, "true", f"c/{n}", Settings()), f"file:///out/c/{n}", "1-2-3-0") for n in "12"
    ]
    before = {work.output: [Before(runs={f"a/{work.run.name}": "f"})] for work in works}
    records = {"a/1": Record(0, "x-1", "f"), "a/2": Record(3, "x-2", "f")}
    chunk, held = checked(Chunk(works, BATCH, "s1", before=before), {}, records)
    final = f"1-2-3-{after_part(digest_attempt('a/1', 'x-1'))}"
    assert [(work.task, work.fingerprint) for work in chunk.works] == [("c:1", final)]
    assert [verdict.words for verdict in held] == ["waits for a:2 (failed)"]
    assert held[0].status is Status.INCOMPLETE
    records["c/2"] = Record(0, "x-3", "1-2-3-9")  # which came after an earlier outcome
    _, held = checked(Chunk(works, BATCH, "s1", before=before), {}, records)
    assert [verdict.status for verdict in held] == [Status.STALE]


def test_a_run_whose_outcome_cannot_be_read_is_left_out() -> None:
    """It cannot be replaced, and what another worker has published of it cannot be told from what the plan knew."""
    works = [Work(f"c:{n}", Run(n, "true", f"c/{n}", Settings()), f"file:///out/c/{n}", "f") for n in "12"]
    records = {
        "c/1": Record(None, reason="its outcome cannot be read: Permission denied"),
        "c/2": Record(None),
    }
    chunk, held = checked(Chunk(works, BATCH, "s1"), {}, records)
    assert [work.task for work in chunk.works] == ["c:2"]
    assert [(verdict.status, verdict.words) for verdict in held] == [
        (Status.INCOMPLETE, "its outcome cannot be read: Permission denied")
    ]
