"""A long list of runs in JSON, read a window at a time, is what the whole text says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pydoit_sc.batchfile import BatchfileError, jsonfile
from pydoit_sc.batchfile.jsonfile import parse_json, parse_json_list
from pydoit_sc.chunks.read import read_chunk
from tests.batchfile.conftest import Write

TEXTS = st.text(st.sampled_from('ab"\\{}[],: \né😀'), max_size=8)
ITEMS = st.dictionaries(
    st.sampled_from(["cmd", "name", "runs", "},{"]),
    TEXTS | st.integers() | st.dictionaries(TEXTS, TEXTS, max_size=2) | st.lists(TEXTS, max_size=2),
    max_size=3,
)
RUNS = (
    st.lists(ITEMS, max_size=8)
    | st.lists(TEXTS, max_size=8)
    | st.lists(TEXTS | ITEMS | st.none(), max_size=4)
)
MEMBERS = st.dictionaries(st.sampled_from(["a", "nprocs", "runs"]), TEXTS | ITEMS | RUNS, max_size=3)
SPOILED = st.tuples(
    st.integers(0, 400), st.sampled_from(["", ",", "}", "]", '"', "{", "NaN", " x", "\u00a0"])
)


def read(text: str, window: int) -> tuple[Any, str]:
    """Return what a text says, and what is wrong with it; by windows of so many characters, or whole with 0."""
    try:
        if not window:
            return parse_json(text, "a.json"), ""
        with mock.patch.object(jsonfile, "_WINDOW", window):
            found = parse_json_list(text.encode(), "a.json")
            if isinstance(found, Iterator):
                return list(found), ""
            if isinstance(found, dict):
                found = {
                    key: list(value) if isinstance(value, Iterator) else value for key, value in found.items()
                }
            return found, ""
    except BatchfileError as error:
        return None, str(error)


@settings(max_examples=150, deadline=None)
@given(st.one_of(RUNS, MEMBERS, st.tuples(RUNS, MEMBERS).map(lambda pair: {"runs": pair[0], **pair[1]})),
       st.sampled_from([None, 1]), st.integers(1, 60), st.none() | SPOILED)  # fmt: skip
@example([{"cmd": "a"}, {"cmd": "b"}], None, 3, (16, "\u00a0"))
@example({"runs": [{"cmd": "a"}, {"cmd": "b"}], "runs ": 0}, None, 12, None)
def test_windows_say_what_the_whole_text_says(
    value: object, indent: int | None, window: int, spoiled: tuple[int, str] | None
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    if spoiled:
        at, piece = spoiled
        text = text[:at] + piece + text[at + (not piece) :]
    assert read(text, window) == read(text, 0)


@pytest.mark.parametrize(
    "text",
    [
        '{"runs": [{"cmd": "a"}, {"cmd": "b"}], "runs": []}',
        '{"a": 1, "runs": [{"cmd": "a"}, {"cmd": "b"}], "a": 2}',
        '{"a": {"runs": [{"cmd": "a"}, {"cmd": "b"}]}}',
        '[{"cmd": "a"}, {"cmd": "b"},]',
        '[{"cmd": "a"}, {"cmd": "b"}] 3',
        '[{"cmd": "a", "cmd": "b"}, {"cmd": "b"}]',
        "[" * 100_000,
    ],
)
def test_texts_that_are_told_by_the_whole_one(text: str) -> None:
    assert read(text, 10) == read(text, 0)


@pytest.mark.parametrize(("before", "behind"), [("[", "]"), ('{"nprocs": 2, "runs": [', '], "version": 1}')])
def test_a_list_is_read_by_windows(
    make: Write, monkeypatch: pytest.MonkeyPatch, before: str, behind: str
) -> None:
    monkeypatch.setattr(jsonfile, "_WINDOW", 200)
    items = [{"name": f"n{i}", "cmd": f"echo {{}} {i}", "env": {"A": "1"}} for i in range(40)]
    text = before + ",\n".join(map(json.dumps, items)) + behind
    found = parse_json_list(text.encode(), "a.json")
    runs = found["runs"] if isinstance(found, dict) else found
    assert isinstance(runs, Iterator)
    assert list(runs) == items
    batch = make(text, "a.json", remote_output_path="/out")
    assert [(run.name, run.cmd) for _, run in batch.runs()] == [(one["name"], one["cmd"]) for one in items]
    assert batch.nprocs == (2 if before.startswith("{") else None)


def test_a_chunk_that_is_long_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = f"{tmp_path}/out"
    runs = [
        {
            "cmd": "true",
            "remote_output_path": f"{out}/{i}",
            "local_results_dir": f"/tmp/{i}",
            "status_code": None,
        }
        for i in range(9)
    ]
    path = tmp_path / "0.json"
    path.write_text(json.dumps({"nprocs": 1, "runs": runs, "remote_output_path": out}))
    chunk = read_chunk(path)
    monkeypatch.setattr(jsonfile, "_WINDOW", 200)
    assert read_chunk(path) == chunk
    assert len(chunk.works) == 9
