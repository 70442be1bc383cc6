"""doit's database: one small file, replaced in one step, never in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from doit.dependency import JSONCodec
from doit.exceptions import InvalidDodoFile

from pydoit_sc.tasks.state import StateDB


def opened(path: Path) -> StateDB:
    return StateDB(str(path), JSONCodec())


def test_what_is_set_is_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = opened(path)
    state.set("month", "ignore:", "1")
    state.dump()
    assert os.listdir(tmp_path) == ["state.json"]
    assert opened(path).get("month", "ignore:") == "1"


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    opened(tmp_path / "state.json").dump()
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\0", '{"month": 1}'])
def test_a_torn_file_is_an_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    state = opened(path)
    assert state.get("month", "ignore:") is None
    state.set("month", "ignore:", "1")
    state.dump()
    assert json.loads(path.read_text())["month"] == {"ignore:": "1"}


def test_a_folder_that_is_gone_is_a_message(tmp_path: Path) -> None:
    state = opened(tmp_path / "gone" / "state.json")
    state.set("month", "ignore:", "1")
    with pytest.raises(InvalidDodoFile, match=r"gone/state\.json: No such file"):
        state.dump()
