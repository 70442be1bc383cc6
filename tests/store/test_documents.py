"""What is written is read back; what is not sound is read as nothing, and never raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.store import Live, Record
from pydoit_sc.store.documents import (
    Code,
    FileEntry,
    Hold,
    Lease,
    Manifest,
    Mark,
    Provenance,
)
from pydoit_sc.store.stamps import (
    Stamp,
    claim_of,
    parse_current,
    parse_record,
    parse_written,
    read,
    read_running,
    write_running,
)

# Surrogates too: bytes that are not UTF-8 in a command or a file's name.
TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
WORD = st.text("0123456789abcdefXYZ_-", max_size=64)
SECONDS = st.floats(0, 1e11)
PROVENANCES = st.builds(
    Provenance,
    fingerprint=TEXT,
    attempt=WORD,
    submission=st.none() | TEXT,
    status_code=st.integers(0, 255),
    files=st.none()
    | st.dictionaries(TEXT, st.builds(FileEntry, size=st.integers(0, 1 << 63), md5=st.none() | WORD)),
    cmd=TEXT,
    host=TEXT,
    rank=st.integers(0),
    started=SECONDS,
    finished=SECONDS,
    cpu_seconds=SECONDS,
    peak_memory=st.integers(0, 1 << 63),
    retry_codes=st.lists(st.integers(1, 255), max_size=3),
    timed_out=st.booleans(),
    code=st.none() | st.builds(Code, commit=st.just("a" * 40), dirty=st.booleans()),
)
LIVE = st.builds(Live, host=TEXT, folder=TEXT, since=SECONDS)
LEASES = st.builds(
    Lease,
    worker=WORD,
    host=TEXT,
    here=TEXT,
    pid=st.integers(0, 1 << 22),
    started=WORD,
    time=SECONDS,
    running=st.dictionaries(TEXT, LIVE, max_size=3),
    ended_by=st.none() | WORD,
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)
MODELS = (Stamp, Manifest, Provenance, Hold, Lease)


@given(PROVENANCES)
def test_a_run_json_is_read_as_it_was_written(written: Provenance) -> None:
    data = written.to_json()
    assert data.isascii() and b"\n" not in data  # the index keeps one a line
    assert read(Provenance, data) == written
    assert parse_record(b"%d" % (written.status_code or 0), data) == Record(
        written.status_code,
        written.attempt,
        written.fingerprint,
        written.submission or "",
        started=written.started,
        ended=written.finished,
        host=written.host,
        memory=written.peak_memory or 0,
        rank=written.rank,
        cpu=written.cpu_seconds,
    )
    manifest, stamp = read(Manifest, data), read(Stamp, data)
    assert manifest and manifest.files == written.files
    assert stamp and stamp.attempt == claim_of(data).attempt == written.attempt


@given(LEASES, st.dictionaries(TEXT, LIVE, max_size=3))
def test_what_workers_say_is_read_as_it_was_written(lease: Lease, live: dict[str, Live]) -> None:
    assert read(Lease, lease.to_json()) == lease
    assert read(Hold, lease.to_json()) == Hold(worker=lease.worker)
    assert read_running(write_running(live)) == live


@given(st.binary() | JSON.map(json.dumps).map(str.encode), st.binary(max_size=4))
def test_no_document_raises(data: bytes, status_code: bytes) -> None:
    for model in MODELS:
        read(model, data)
    read_running(data)
    read_running(b'{"a": ' + data + b"}")
    parse_record(status_code, data)
    claim_of(data)


def test_a_document_as_deep_as_python_can_read() -> None:
    for depth in range(900, 1010):
        deep = b"[" * depth + b"]" * depth
        assert read_running(b'{"a": ' + deep + b"}") == {}
        assert [read(model, b'{"files": ' + deep + b"}") for model in MODELS[:3]] == [None] * 3


KEYS = st.sampled_from([key for model in MODELS[:3] + MODELS[4:] for key in model.model_fields])


@given(LEASES, KEYS, JSON)
def test_one_wrong_value_raises_nothing(lease: Lease, key: str, value: object) -> None:
    data = json.dumps({**json.loads(lease.to_json()), key: value}).encode()
    for model in MODELS:
        read(model, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'{"attempt": "a-1"}',
        b'{"attempt": 1, "fingerprint": "f"}',
        b'{"attempt": "../up", "fingerprint": "f"}',
        b'{"attempt": "a\\n", "fingerprint": "f"}',
        b'{"attempt": "%s", "fingerprint": "f"}' % (b"a" * 65),
        b'{"attempt": "a", "fingerprint": "f", "status_code": "0"}',
        b'{"attempt": "a", "fingerprint": "f", "peak_memory": -5}',
        b'{"attempt": "a", "fingerprint": "f", "peak_memory": -1%s}' % (b"0" * 400),
        b"[" * 100_000,
    ],
)
def test_a_stamp_that_is_not_sound_is_none(data: bytes) -> None:
    assert read(Stamp, data) is None
    assert parse_record(b"0", data) == Record(0)


def test_a_scan_ignores_the_rest_of_a_run_json() -> None:
    data = b'{"attempt": "a", "fingerprint": "f", "files": 3, "cmd": [1], "more": {}}'
    assert parse_record(b"0", data) == Record(0, "a", "f", "")
    assert read(Manifest, data) is None
    assert parse_record(b"1", data[:-1] + b', "status_code": 0}') == Record(1)  # of another outcome


PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=9)
ORDER = (
    *("fingerprint", "attempt", "submission", "status_code", "reason", "started", "finished", "host"),
    *("rank", "cpu_seconds", "peak_memory", "files", "cmd"),
)
WRITTEN: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "fingerprint": st.just("a7cf24f38933f91e-0-0-0"),
        "attempt": WORD,
        "submission": st.none() | PLAIN,
        "status_code": st.integers(0, 999),
        "reason": st.none() | PLAIN,
        "started": st.floats(1, 1e11),
        "finished": st.floats(1, 1e11),
        "host": PLAIN,
        "peak_memory": st.none() | st.integers(0, 1 << 59),
        "rank": st.integers(0, 999_999),
        "cpu_seconds": st.floats(0, 1e12).map(lambda seconds: round(seconds, 3)),
        "files": st.just({}),
        "cmd": TEXT,
    }
)


@given(WRITTEN)
def test_what_a_worker_writes_is_read_quickly_as_the_model_reads_it(written: dict[str, Any]) -> None:
    code = written["status_code"]
    given = {key: written[key] for key in ORDER if written[key] is not None}
    data = json.dumps(given).encode()
    quick = parse_written(b"%d" % code, data)
    assert (quick is not None) == (code < 256)
    assert quick == (parse_record(b" %d" % code, data) if quick else None)  # no worker writes that blank
    assert parse_written(b"%d" % (code + 1), data) is None  # of another outcome
    assert parse_written(b"%d" % code, data[:-1]) is None  # torn


@given(WRITTEN, st.sampled_from([0, 0, 0, 7]))
def test_what_is_current_is_told_quickly_as_its_record_tells_it(written: dict[str, Any], code: int) -> None:
    given = {key: value for key in ORDER if (value := written[key]) is not None} | {"status_code": code}
    if code == 0:
        given.pop("reason", None)
    data, own = json.dumps(given).encode(), given["fingerprint"]
    quick = parse_current(b"%d" % code, data, own)
    assert quick == (parse_record(b"%d" % code, data).told(own) if code == 0 else None)
    assert parse_current(b"7", data, own) is None  # of another outcome
    assert parse_current(b"%d" % code, data[:-1], own) is None  # torn
    assert parse_current(b"%d" % code, data, own.replace("a", "b")) is None  # of another command


def test_a_machines_name_is_one_line() -> None:
    said = b'{"host": "a\\nERROR: b", "folder": "/f", "since": 1.0, "here": "h"}'
    for found in (read(Live, said), read(Mark, said)):
        assert found is not None and found.host == "a\\nERROR: b"


def test_every_field_is_described() -> None:
    for model in (Live, FileEntry, *MODELS):
        assert all(field.description for field in model.model_fields.values()), model
