"""Which runs a submission takes, and the chunks of its groups."""

from __future__ import annotations

import json
from pathlib import Path

from pydoit_sc.batchfile import load
from pydoit_sc.chunks.read import read_chunk
from pydoit_sc.fingerprint import NOTHING
from pydoit_sc.plan import Ledger
from pydoit_sc.store import Record
from pydoit_sc.submissions.choose import Wanted, choose, earlier_runs
from pydoit_sc.submissions.cut import Shape, cut
from pydoit_sc.worker import earlier

STAGES = """\
[batch]
remote_output_path = "out"
[runs.a]
cmd = "a {x}"
matrix = { x = [1, 2, 3] }
[runs.b]
cmd = "b"
after = ["a"]
[runs.c]
cmd = "c {x}"
after = ["a", "b"]
matrix = { x = [1, 2] }
[runs.d]
cmd = "d"
after = ["a"]
"""


def _stages(folder: Path) -> Ledger:
    (folder / "batchfile.toml").write_text(STAGES)
    return Ledger(load(folder / "batchfile.toml"), {})


def test_groups_of_chunks(tmp_path: Path) -> None:
    ledger = _stages(tmp_path)
    choice = choose(ledger, Wanted(completed=False, failures=True), ordered=True)
    groups = cut(ledger.batch, choice, Shape("cores", 2, always=False), "ID")
    names = [
        [[run["task"] for run in json.loads(text)["pydoit_sc"]["runs"].values()] for text in group]
        for group in groups
    ]
    assert names == [[["a:1", "a:2"], ["a:3"]], [["b"], ["d"]], [["c:1", "c:2"]]]
    after = [[json.loads(text)["pydoit_sc"]["after"] for text in group] for group in groups]
    assert after == [[[], []], [["a"], ["a"]], [["a", "b"]]]
    assert {stage: len(runs) for stage, runs in earlier_runs(ledger, choice).items()} == {"a": 3, "b": 1}
    alone = choose(ledger, Wanted(completed=False, failures=True))
    assert (len(alone.works), alone.later, alone.waiting) == (3, [], {"b": "a", "c": "a", "d": "a"})


def test_a_later_stage_whose_file_dep_is_yet_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(STAGES.replace('cmd = "b"', 'cmd = "b"\nfile_dep = ["made"]'))
    ledger = Ledger(load(tmp_path / "batchfile.toml"), {})
    choice = choose(ledger, Wanted(completed=False, failures=True), ordered=True)
    assert choice.waiting == {"b": "a", "c": "b"}
    assert [[work.task for part in group for work in part.works] for group in choice.groups] == [
        ["a:1", "a:2", "a:3"],
        ["d"],
    ]


def test_a_chunk_of_a_later_stage(tmp_path: Path) -> None:
    """It starts when every run before it is completed as its submission wants it, with the plan's fingerprint."""
    ledger = _stages(tmp_path)
    choice = choose(ledger, Wanted(completed=False, failures=True), ordered=True)
    groups = cut(ledger.batch, choice, Shape(1, 9, always=False), "ID")
    (tmp_path / "chunk.json").write_text(groups[1][0])
    chunk, runs = read_chunk(tmp_path / "chunk.json"), earlier_runs(ledger, choice)
    good = {key: Record(0, f"x-{key}", fingerprint, "ID") for key, fingerprint in runs["a"].items()}
    wanted = {"a": runs["a"]}
    assert earlier.incomplete(chunk, wanted, good) == {}
    assert earlier.incomplete(chunk, wanted, {}) == {"a": 3}
    assert earlier.incomplete(chunk, wanted, {**good, "a/1": Record(1, "x", "", "ID")}) == {"a": 1}
    assert earlier.incomplete(chunk, wanted, {**good, "a/1": Record(0, "x", "1-0-0-0", "older")}) == {"a": 1}

    stage = ledger.batch.stages[1]
    before = ledger.fingerprint(stage, stage.runs[0])
    for run in ledger.batch.stages[0].runs:
        ledger.publish(run, good[run.key])
    after = ledger.fingerprint(stage, stage.runs[0])
    assert before != after
    assert [item.fingerprint for item in earlier.with_attempts(chunk, good).works] == [after]
    assert not after.endswith(f"-{NOTHING}")
