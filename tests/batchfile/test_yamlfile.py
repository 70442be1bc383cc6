"""A long list of runs in YAML, parsed in parts, is what the whole document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoit_sc.batchfile import BatchfileError, yamlfile
from pydoit_sc.batchfile.yamlfile import parse_yaml, parse_yaml_list
from tests.batchfile.conftest import Problems, Write

TEXTS = st.text(st.sampled_from("ab'\"\\{}[]-#&*|>:, \n\té"), max_size=12)
RUNS = st.lists(
    TEXTS
    | st.dictionaries(
        st.sampled_from(["cmd", "name", "- a"]), TEXTS | st.lists(TEXTS, max_size=2), max_size=3
    ),
    max_size=6,
)
LINES = st.lists(
    st.sampled_from(
        ["runs:", "- a", "- cmd: |", "    - b", "  name: x", "  - c", '- "', '"', "- {", "}", "# no", "", "nprocs: 2",
         "- 'a", "- b'", "- &a c", "- *a", "---", "- - d", "  cmd: >-", "-", "- !!int x", "runs: [a]", "- k: v\r", "- <<: 3",
         "- on: 1", "- '1': 0x1f", "- 1e3", "- 1.5: ~", "- 2024-02-30", "- 2024-02-03", "- =", "- {a: b, a: c}", "- ? [x]",
         "- [{}, [a, {b: null}]]", "- ''", "- ! a", "- \x01"]
    ),
    max_size=12,
)  # fmt: skip


def read(text: str, window: int) -> tuple[Any, str]:
    """Return what a document says, and what is wrong with it; in parts of so many bytes, or whole with 0."""
    try:
        if not window:
            return parse_yaml(text, "a.yaml"), ""
        with mock.patch.object(yamlfile, "_WINDOW", window):
            found = parse_yaml_list(text.encode(), "a.yaml")
            if isinstance(found, dict):
                return {
                    key: list(one) if isinstance(one, Iterator) else one for key, one in found.items()
                }, ""
            return list(found) if isinstance(found, Iterator) else found, ""
    except BatchfileError as error:
        return None, str(error)


@settings(max_examples=150, deadline=None)
@given(RUNS, st.booleans(), st.sampled_from(['"', "'", None]), st.integers(1, 40))
def test_parts_say_what_the_document_says(
    runs: list[Any], alone: bool, style: str | None, window: int
) -> None:
    text = yaml.safe_dump(
        runs if alone else {"a": 1, "runs": runs, "z": 2}, default_style=style, allow_unicode=True
    )
    assert repr(read(text, window)) == repr(read(text, 0))


@settings(max_examples=250, deadline=None)
@given(LINES, st.integers(1, 40))
def test_parts_of_anything_say_what_the_whole_says(lines: list[str], window: int) -> None:
    text = "\n".join(lines)
    assert repr(read(text, window)) == repr(read(text, 0))


@pytest.mark.parametrize(
    "item",
    [
        "a b",
        "'1'",
        "1",
        "1.5",
        "on",
        "~",
        "''",
        '"\\u00e9"',
        "2024-02-03",
        "|\n    a\n    b\n",
        "{a: 1, 1: [b, {}]}",
    ],
)
def test_items_are_built_without_a_tree(item: str) -> None:
    text = f"- {item}\n- cmd: {item}\n"
    assert repr(yamlfile._build_list(text.encode())) == repr(parse_yaml(text, "a.yaml"))


@pytest.mark.parametrize(
    "item",
    ["!!str a", "{a: 1, a: 2}", "{<<: {a: 1}}", "2024-02-30", "=", "? [a]", "[" * 501 + "]" * 501, "a: b: c"],
)
def test_what_takes_a_tree_is_left_to_it(item: str) -> None:
    assert yamlfile._build_list(f"- {item}\n".encode()) is None


@pytest.mark.parametrize("indent", ["", "  "])
@pytest.mark.parametrize("around", [("", ""), ("nprocs: 2\nruns:\n# first\n", "version: 1\n")])
def test_a_list_is_parsed_in_parts(
    make: Write, monkeypatch: pytest.MonkeyPatch, indent: str, around: tuple[str, str]
) -> None:
    monkeypatch.setattr(yamlfile, "_WINDOW", 200)
    sizes = []
    build = yamlfile._build_list

    def counted(raw: bytes) -> Any:
        sizes.append(len(raw))
        return build(raw)

    monkeypatch.setattr(yamlfile, "_build_list", counted)
    before, behind = around
    items = "".join(f"{indent}- name: n{i}\n{indent}  cmd: |\n{indent}    echo {i}\n\n" for i in range(40))
    batch = make(f"{before}{items}{behind}", "a.yaml", remote_output_path="/out")
    assert [(run.name, run.cmd) for _, run in batch.runs()] == [(f"n{i}", f"echo {i}\n") for i in range(40)]
    assert batch.nprocs == (2 if before else None)
    assert len(sizes) > 5 and max(sizes) < 300


def test_what_is_wrong_with_a_long_list(problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "_WINDOW", 50)
    lines = [f"- cmd: echo {i}\n" for i in range(20)]
    text = "".join([*lines, "- cmd: ' '\n", *lines])
    assert problems(text, "a.yaml", remote_output_path="/out") == [
        "a.yaml:21:3: [20].cmd: the command is empty"
    ]
    text += "- cmd: [a\n"
    (line,) = problems(text, "a.yaml", remote_output_path="/out")
    assert line.startswith("a.yaml:43:1: not YAML: while parsing a flow sequence")


def test_a_fault_of_what_is_merged_stands_where_that_does(problems: Problems) -> None:
    text = "runs:\n- cmd: a\n  env: {<<: {A: 1}}\n"
    assert problems(text, "a.yaml", remote_output_path="/out") == [
        'a.yaml:3:14: runs[0].env.A: expected a string, found 1; write "1"'
    ]
