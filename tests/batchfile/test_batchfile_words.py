"""Names, durations, nearest words, and the places of keys."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.batchfile import BatchfileError, Problem, check_name, nearest, parse_duration
from pydoit_sc.batchfile.names import RESERVED, check_stage_name
from pydoit_sc.batchfile.tomlfile import toml_keys
from pydoit_sc.catalogue import COMMANDS


@pytest.mark.parametrize(
    "name",
    ["a", "0", "2012-01", "a/b/c", "-x", ".hidden", "a b", "ünï", "it's", "a:b", "x" * 255, "a/.pydoit_sc", "$(x)", "..."],
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
        (".pydoit_sc/x", "own files"), ("\ud800", "surrogate"), (3, "a string"),
    ],
)  # fmt: skip
def test_bad_names(name: object, why: str) -> None:
    assert why in (check_name(name) or "")


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
        "status",
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


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90), ("10m", 600), ("2h", 7200), ("1.5 h", 5400), ("1 day", 86400), ("2 Weeks", 1209600), ("1h 30m", 5400),
        ("1h30m", 5400), (" 5 min ", 300), ("30", 30), (30, 30), (0.5, 0.5), (0, 0), ("0s", 0),
    ],
)  # fmt: skip
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "fast", "1 month", "-1s", -1, "1h 30", "1..5h", "1 2", "h", "1e3", True, None, [1], float("nan"), float("inf"),
     "101 years", "99999 days", 10**400, "9" * 400],
)  # fmt: skip
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match=r'a duration such as "90s", "10m", "1.5 h" or "1 day"'):
        parse_duration(written)


def test_nearest() -> None:
    assert nearest("timout", ["timeout", "retries"]) == "timeout"
    assert nearest("zzz", ["timeout"]) is None


def test_problems_as_text() -> None:
    assert str(Problem("f", 1, 2, "m")) == "f:1:2: m"
    assert str(Problem("f", 1, None, "m")) == "f:1: m"
    assert str(Problem("f", None, None, "m")) == "f: m"
    assert str(BatchfileError([Problem("f", 1, 2, "m")], more=1234)) == "f:1:2: m\nand 1,234 more"


TRICKY = r'''
a.b.c = 1 # [x]
"q\"uoted" = { x = [1, { y = "}" }], 'z.z' = 2 }
s = """
[not.a.table]
k = "v" \""" """
l = [
  # ] comment
  "a", 'b"',
  1.5, 2012-01-01 10:00:00,
]
[ t . "u v" ]
w = @@@
[no]
@@@@
[[arr]]
x = 1
[[arr]]
x = 2
[arr.sub]
y = 3
[[arr.deep]]
z = 4
[[arr.deep]]
z = 5
'''.replace("@", "'")


def test_places_in_toml() -> None:
    data = tomli.loads(TRICKY)
    lines = TRICKY.split("\n")
    found = dict(reversed(list(toml_keys(TRICKY))))
    assert set(found) == set(paths(data, ()))
    line = {where: TRICKY.count("\n", 0, offset) for where, offset in found.items()}
    assert lines[line["arr", 1, "deep", 1, "z"]] == "z = 5"
    assert lines[line["l", 3]] == "  1.5, 2012-01-01 10:00:00,"
    assert lines[line["t", "u v"]] == '[ t . "u v" ]'
    assert TRICKY[found['q"uoted', "x", 1, "y"] :].startswith('y = "}"')


def paths(value: object, where: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [p for key, child in children for p in [(*where, key), *paths(child, (*where, key))]]


@given(st.text())
def test_any_text_is_a_name_or_not(name: str) -> None:
    reason = check_name(name)
    assert reason is None or reason.startswith(("a name", "a segment", "`.pydoit_sc`"))
