"""Which runs a submission takes, and the chunks of its groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pydoit_sc.batchfile import load
from pydoit_sc.chunks.read import read_chunk
from pydoit_sc.fingerprint import NOTHING
from pydoit_sc.ledger import Ledger
from pydoit_sc.store import Record, TakenError
from pydoit_sc.submissions.choose import Choice, Left, Wanted, choose, earlier_runs
from pydoit_sc.submissions.cut import Shape, covers, cut, texts
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


def _choose(ledger: Ledger, *, ordered: bool = True) -> Choice:
    return choose(ledger, Wanted(completed=False, failures=True), ledger.batch.stages, ordered=ordered)


def _tasks(choice: Choice) -> list[list[str]]:
    return [[work.task for part in group for work in part] for group in choice.groups]


def test_groups_of_chunks(tmp_path: Path) -> None:
    ledger = _stages(tmp_path)
    choice = _choose(ledger)
    pieces = cut(choice, Shape(1, 2, always=False))
    names = [[[work.task for work in chunk] for chunk in group] for group in pieces.groups]
    assert names == [[["a:1", "a:2"], ["a:3"]], [["b"], ["d"]], [["c:1", "c:2"]]]
    assert pieces.after == [(), (), None, None, None]
    assert {stage: len(runs) for stage, runs in earlier_runs(ledger, choice).items()} == {"a": 3}
    alone = _choose(ledger, ordered=False)
    assert (len(alone.works), alone.later) == (3, [])
    assert alone.waiting == {
        "b": Left(1, "a", whole=True), "c": Left(2, "b", whole=True), "d": Left(1, "a", whole=True)
    }  # fmt: skip


def test_a_later_stage_whose_file_dep_is_yet_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(STAGES.replace('cmd = "b"', 'cmd = "b"\nfile_dep = ["made"]'))
    choice = _choose(Ledger(load(tmp_path / "batchfile.toml"), {}))
    assert choice.waiting == {"b": Left(1, "a", whole=True), "c": Left(2, "b", whole=True)}
    assert _tasks(choice) == [["a:1", "a:2", "a:3"], ["d"]]


def test_chunks_count_slots_where_no_size_is_given(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "out"\n'
        '[runs.a]\ncmd = "a {x}"\nmatrix = { x = { range = [0, 7] } }\nslots = 2\n'
        '[runs.b]\ncmd = "b"\nslots = 9\n'
        '[runs.c]\ncmd = "c {x}"\nmatrix = { x = { range = [0, 9] } }\n'
    )
    ledger = Ledger(load(tmp_path / "batchfile.toml"), {})
    choice = _choose(ledger)
    for in_slots, sizes in ((True, [3, 3, 1, 1, 6, 3]), (False, [6, 6, 5])):
        shape = Shape(2, 6, always=False, in_slots=in_slots)
        (chunks,) = cut(choice, shape).groups
        assert [len(chunk) for chunk in chunks] == sizes
        written = texts(ledger, chunks, shape, "ID", waiting=False)
        assert covers(written, ledger, choice.works, shape)


def test_a_chunk_of_a_later_stage(tmp_path: Path) -> None:
    """It starts when every run before it is completed as its submission wants it, with the plan's fingerprint."""
    ledger = _stages(tmp_path)
    choice, shape = _choose(ledger), Shape(1, 9, always=False)
    (text, _) = texts(ledger, cut(choice, shape).groups[1], shape, "ID", waiting=True)
    (tmp_path / "chunk.json").write_text(text)
    chunk, runs = read_chunk(tmp_path / "chunk.json"), earlier_runs(ledger, choice)
    good = {key: Record(0, f"x-{key}", fingerprint, "ID") for key, fingerprint in runs["a"].items()}
    run = ledger.batch.stages[1].runs[0]
    before = ledger.fingerprint(run)
    for one in ledger.batch.stages[0].runs:
        ledger.publish(one, good[one.key])
    after = ledger.fingerprint(run)
    assert before != after
    ready, held = earlier.checked(chunk, {"a": runs["a"]}, good)
    assert ([item.fingerprint for item in ready.works], held) == ([after], [])
    assert not after.endswith(f"-{NOTHING}")


PAIRS = """
[batch]
remote_output_path = "out"
[runs.align]
cmd = "a"
name = "{s}"
matrix = { s = ["1", "2", "3", "4", "5"] }
[runs.call]
cmd = "c"
name = "{s}-{m}"
after = ["align:{s}"]
matrix = { m = ["x"], s = ["1", "2", "3", "4", "5"] }
[runs.join]
cmd = "j"
name = "{s}"
after = ["call:{s}-*", "align:1"]
matrix = { s = ["1", "4"] }
"""


def test_chunks_of_stages_that_pair_up_do_so_too(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(PAIRS)
    batch = load(tmp_path / "batchfile.toml")
    # One is completed: the chunks of `align` begin with the second.
    ledger = Ledger(batch, {"align/1": Record(0, "x")})
    pieces = cut(_choose(ledger), Shape(1, 2, always=False))
    names = [[[work.task for work in chunk] for chunk in group] for group in pieces.groups]
    assert names == [
        [["align:2", "align:3"], ["align:4", "align:5"], ["call:1-x"]],
        [["call:2-x", "call:3-x"], ["call:4-x", "call:5-x"], ["join:1"]],
        [["join:4"]],
    ]
    assert pieces.after == [(), (), (), (0,), (1,), None, None]


def test_without_an_order_runs_whose_earlier_ones_are_completed_are_submitted(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(PAIRS)
    batch = load(tmp_path / "batchfile.toml")
    align = batch.stages[0]
    records = {run.key: Record(0 if run.name != "4" else 1, f"x-{run.name}") for run in align.runs}
    choice = _choose(Ledger(batch, records), ordered=False)
    assert _tasks(choice) == [["align:4", *(f"call:{n}-x" for n in (1, 2, 3, 5))]]
    assert choice.waiting == {"call": Left(1, "align", whole=False), "join": Left(2, "call", whole=True)}


@pytest.mark.parametrize(
    ("runs", "wanted", "beside"),
    [
        ("a/2", Wanted(completed=False, failures=True), "a/2"),
        ("a/1", Wanted(completed=False, failures=True), None),  # it is up to date
        ("a/2", Wanted(completed=False, failures=False), None),
        ("a/1", Wanted(completed=True, failures=True), "a/1"),
        ("b", Wanted(completed=False, failures=True), "b"),  # it comes after a run that is executed
    ],
)
def test_an_outcome_beside_which_something_else_lies_is_not_replaced(
    tmp_path: Path, runs: str, wanted: Wanted, beside: str | None
) -> None:
    ledger = _stages(tmp_path)
    ledger.records.update({"a/1": Record(0, "x"), "a/2": Record(7, "y"), "b": Record(0, "z")})
    asked: list[str] = []

    def ask(keys: Sequence[str]) -> Mapping[str, str]:
        asked.extend(keys)
        return {key: "it has notes" for key in keys if key == runs}

    ledger.beside = ask
    if beside is None:
        choose(ledger, wanted, ledger.batch.stages, ordered=True)
        assert runs not in asked
    else:
        with pytest.raises(TakenError, match="it has notes"):
            choose(ledger, wanted, ledger.batch.stages, ordered=True)
    assert wanted.completed or "a/1" not in asked
