"""The runs of a list: what is packed says what was written, in little memory."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoit_sc.batch import Run, Settings
from pydoit_sc.batchfile import load, names, plainlist
from pydoit_sc.batchfile.document import Document
from pydoit_sc.batchfile.report import Notes, Report
from pydoit_sc.batchfile.runlist import RunReader
from pydoit_sc.batchfile.runtables import ListedRun
from pydoit_sc.made import MadeRuns
from pydoit_sc.project import Project
from tests.batchfile.conftest import Problems, Write

CMDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    str.strip
)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"cmd": CMDS},
        optional={
            "retries": st.integers(0, 2),
            "env": st.dictionaries(st.sampled_from("AB"), st.sampled_from("12"), max_size=1),
            "local_results_dir": st.sampled_from(["/tmp/a", "/tmp/ü"]),
        },
    ),
    max_size=100,
)
SLICES = st.slices(100)


@settings(max_examples=60, deadline=None)
@given(items=ITEMS, part=SLICES)
def test_runs_are_as_they_were_written(items: list[dict[str, Any]], part: slice) -> None:
    notes = Notes(Report(), Document("a.json", "json", b"[]", []))
    stage = RunReader(ListedRun, Settings(timeout=5), notes, (), "file:///out").read(items, "/", None)
    notes.report.check()
    whole = [_run(i, item) for i, item in enumerate(items)]
    assert isinstance(stage.runs, MadeRuns)
    assert list(stage.runs) == whole
    assert (
        list(stage.runs[part]) == [stage.runs[part][n] for n in range(len(stage.runs[part]))] == whole[part]
    )
    assert {id(run.settings) for run in stage.runs} == {id(run.settings) for run in stage.runs[::-1]}


def _run(i: int, item: Mapping[str, Any]) -> Run:
    changes = {key: item[key] for key in ("retries", "env") if key in item}
    how = Settings(timeout=5)._replace(**changes)
    return Run(str(i), item["cmd"], str(i), how, item.get("local_results_dir"), (), i)


def test_settings_that_repeat_are_shared(make: Write) -> None:
    text = "".join(f'{{"cmd": "echo {i}", "retries": {i % 2}}}\n' for i in range(100))
    (stage,) = make(text, "a.jsonl", remote_output_path="/out").stages
    assert [run.settings.retries for run in stage.runs] == [0, 1] * 50
    assert len({id(run.settings) for run in stage.runs}) == 2


def test_the_place_of_a_run_has_variables_as_that_of_its_list(
    make: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "/out")
    runs = [{"cmd": "true", "remote_output_path": f"$PLACE/a$$b/{name}"} for name in "xy"]
    text = json.dumps({"runs": runs, "remote_output_path": "$PLACE/a$$b"})
    (stage,) = make(text, "a.json").stages
    assert [run.name for run in stage.runs] == ["x", "y"]


@pytest.mark.parametrize("alike", [len, lambda _: 0, hash], ids=["by length", "all", "none"])
def test_names_with_the_same_hash_are_told_apart(
    problems: Problems, make: Write, monkeypatch: pytest.MonkeyPatch, alike: Callable[[str], int]
) -> None:
    for module in (names, plainlist):
        monkeypatch.setattr(module, "hash", alike, raising=False)
    listed = [{"cmd": "true", "name": name} for name in ("a", "b", "c", "a", "d/e", "d", "c", "c")]
    assert problems(json.dumps(listed), "a.json", remote_output_path="/out") == [
        "a.json:1:108: [3].name: `a` is twice the name, and so the output path, of a run; the first is [0] (line 1)",
        "a.json:1:138: [4].name: the output of `d/e` would lie inside that of `d`, [5] (line 1)",
        "a.json:1:200: [6].name: `c` is twice the name, and so the output path, of a run (and 1 run more); the first is [2] (line 1)",
    ]
    (stage,) = make("echo a\necho b\necho a\n", "a.txt", remote_output_path="/out").stages
    assert [run.name[12:] for run in stage.runs] == ["", "", "-2"]
    assert len({run.name for run in stage.runs}) == 3


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ('{"cmd": ""}\n{"cmd": "true"\n', "a.jsonl", "a.jsonl:2:15: not JSON: Expecting ',' delimiter"),
        ("cmd,name\n,a\ntrue,b,c\n", "a.csv", "a.csv:3: expected 2 cells as in the header, found 3"),
        ("name;cmd\na;true\n", "a.csv", 'a.csv:1: expected commas between the columns, found `;`'),
        ('cmd,name\n,a\n"true,b\n', "a.csv", "a.csv:3: not CSV: unexpected end of data"),
        (f"{'a' * 200_000}\ntrue \\\n", "a.txt", "a.txt:2: a command is one line, and this one ends in a backslash"),
    ],
)  # fmt: skip
def test_what_makes_a_file_no_list_is_told_alone(
    problems: Problems, tmp_path: Path, text: str, name: str, said: str
) -> None:
    assert problems(text, name, remote_output_path="/out") == [said]
    batchfile = f'[batch]\nremote_output_path = "out"\nruns_from = "{name}"\n'
    assert problems(batchfile) == [said]


def test_a_list_and_its_batchfile_are_told_together(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"cmd": ""}\n3\n')
    found = problems('[batch]\nremote_output_path = "out"\nruns_from = "a.jsonl"\nnprocs = "x"\n')
    assert [line.partition(": ")[0] for line in found] == ["batchfile.toml:4:1", "a.jsonl:1:2", "a.jsonl:2"]


FORMATS: dict[str, Callable[[int], str]] = {
    "a.txt": lambda n: "".join(f"./simulate --seed {i} > out.txt\n" for i in range(n)),
    "a.csv": lambda n: "name,cmd\n" + "".join(f"run-{i},./simulate --seed {i} > out.txt\n" for i in range(n)),
    "a.jsonl": lambda n: "".join(
        f'{{"name": "run-{i}", "cmd": "./simulate --seed {i} > out.txt"}}\n' for i in range(n)
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_of_a_list_takes_little_memory(tmp_path: Path, name: str) -> None:
    text, path = FORMATS[name](3_000), tmp_path / name
    path.write_text(FORMATS[name](10))
    load(path, remote_output_path="/out")  # what is kept for good
    path.write_text(text)
    gc.collect()
    tracemalloc.start()
    try:
        batch = load(path, remote_output_path="/out")
        deque(batch.runs(), 0)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(batch.stages[0].runs) == 3_000
    assert (now / 3_000, (peak - len(text)) / 3_000) < (
        80,
        160,
    )  # 55 and 100; a value for each run took 450


def test_runs_of_a_list_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(FORMATS["a.jsonl"](100))
    project = Project.load(str(path), remote_output_path=str(tmp_path / "out"))
    for word in ("runs:run-77", f"file://{tmp_path}/out/run-77/status_code"):
        ((stage, run),) = project.select([word])
        assert (run.name, run.position, stage.task_name(run)) == ("run-77", 77, "runs:run-77")
    assert len(project.select(["runs:run-7*"])) == 11
