"""What may be a name, of a run and of a stage."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.batchfile import check_name
from pydoit_sc.batchfile.names import RESERVED, are_ordinary, check_stage_name
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.made import Texts


@pytest.mark.parametrize(
    "name",
    ["a", "0", "2012-01", "a/b/c", "-x", ".hidden", "a b", "ünï", "it's", "a:b", "x" * 255, "a/.pydoit_sc", "$(x)", "...", "status_codes", "run.json5", "a-status_code"],
)  # fmt: skip
def test_good_names(name: str) -> None:
    assert check_name(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "not empty"), ("a=b", "`=`"), ("/a", "`/` at its start"), ("a//b", "empty segment"), ("a/", "empty segment"),
        (".", "segment `.`"), ("..", "segment `..`"), ("a/../b", "segment `..`"), ("a\0", "control"), ("a\nb", "control"),
        ("a\x7f", "control"), ("\x85", "control"), ("a::b", "`::`"), ("a*", "`*`"), ("a?", "`?`"), ("[a]", "`[`"),
        ("x" * 256, "at most 255 bytes, this one 256"), ("é" * 128, "this one 256"), (".pydoit_sc", "own files"),
        (".pydoit_sc/x", "own files"), ("\ud800", "surrogate"),
        ("status_code", "a file of each output"), ("a/run.json", "a file of each output"), ("status_code/a", "no segment"), (3, "a string"),
    ],
)  # fmt: skip
def test_bad_names(name: object, why: str) -> None:
    assert why in (check_name(name) or "")


_PIECES = ["", "a", "s", "status_code", "status_", "_code", "run", "run.json", ".json"]


@given(st.lists(st.lists(st.sampled_from(_PIECES), min_size=1), min_size=1, max_size=3))
def test_names_that_are_plainly_sound_are_sound_one_by_one(parts: list[list[str]]) -> None:
    chosen = [*product(*parts)]
    texts = Texts([(range(len(chosen)), column) for column in zip(*chosen, strict=True)], len(chosen))
    wrong = [name for name in texts if check_name(name) is not None]
    assert not (are_ordinary(texts) and wrong)
    if {"", ".json"}.isdisjoint(parts[0]):
        assert are_ordinary(texts) == (not wrong)


@pytest.mark.parametrize(
    "name", ["split", "recipe", "runs", "sync", ".pydoit_sc", "a:b", "a/b", "-a", "_a", "a=b", ""]
)
def test_bad_stage_names(name: str) -> None:
    assert check_stage_name(name) is not None
    assert check_stage_name(f"my{name}") is None or not set(name).isdisjoint(":/=")


def test_only_tasks_of_ours_are_reserved() -> None:
    assert {"split", "chunk", "recipe", "apply", "sync", "runs"} == RESERVED
    names = [
        *COMMANDS,
        "report",
        "failures",
        "history",
        "debug",
        "accept",
        "pause",
        "plot",
        "auto",
        "dumpdb",
        "task",
    ]
    assert [name for name in names if name not in RESERVED and check_stage_name(name)] == []


@given(st.text())
def test_any_text_is_a_name_or_not(name: str) -> None:
    reason = check_name(name)
    assert reason is None or reason.startswith(("a name", "a segment", "`.pydoit_sc`"))
