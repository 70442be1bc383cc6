"""Chunks packed by past durations, and chunks that stay while their submission is executed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydoit_sc.batchfile import load
from pydoit_sc.forecast import Forecast
from pydoit_sc.ledger import Ledger
from pydoit_sc.store import Record
from pydoit_sc.submissions.choose import Choice, Wanted, choose
from pydoit_sc.submissions.cut import Shape, covers, cut, texts

RUNS = """\
[batch]
remote_output_path = "out"
[runs.a]
cmd = "a {x}"
matrix = { x = { range = [0, 8] } }
"""

SHAPE = Shape(2, 4, always=False, ranks=2)


def _record(seconds: float, code: int = 0) -> Record:
    """Return the outcome of a command that has changed since."""
    return Record(code, "x-1", "other-other-other-other", started=1000.0, ended=1000.0 + seconds)


def _ledger(folder: Path, seconds: dict[str, float], text: str = RUNS) -> Ledger:
    (folder / "batchfile.toml").write_text(text)
    return Ledger(load(folder / "batchfile.toml"), {key: _record(one) for key, one in seconds.items()})


def _choose(ledger: Ledger) -> Choice:
    return choose(ledger, Wanted(completed=False, failures=True), ledger.batch.stages, ordered=True)


def _tasks(ledger: Ledger, shape: Shape = SHAPE) -> list[list[list[str]]]:
    groups = cut(_choose(ledger), shape, Forecast(ledger).of).groups
    return [[[work.task for work in chunk] for chunk in group] for group in groups]


def test_without_history_chunks_are_plain_ones_to_the_byte(tmp_path: Path) -> None:
    failed = {"a/3": _record(900.0, 1), "a/5": Record(1)}  # says nothing of how long it takes
    ledger = Ledger(_ledger(tmp_path, {}).batch, failed)
    choice = _choose(ledger)
    plain, known = cut(choice, SHAPE), cut(choice, SHAPE, Forecast(ledger).of)
    works = choice.works
    assert [work.run.name for work in works] == ["0", "1", "2", "4", "6", "7", "3", "5"]  # the seed's order
    assert known == plain
    assert known.groups == [[works[:4], works[4:]]]


def test_the_longest_runs_come_first_and_chunks_take_as_long(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, {f"a/{x}": x + 1.0 for x in range(8)})
    # 36 seconds on two ranks, of eight runs of which four are a chunk: 9 seconds each.
    assert _tasks(ledger) == [[["a:7", "a:6", "a:1", "a:0"], ["a:5", "a:4", "a:3", "a:2"]]]
    assert _tasks(ledger, replace(SHAPE, limit=6.0)) == [
        [["a:7", "a:5"], ["a:6", "a:4", "a:0"], ["a:3", "a:2", "a:1"]]
    ]
    size = replace(SHAPE, size=2, in_slots=False)
    assert {len(chunk) for group in _tasks(ledger, size) for chunk in group} == {2}


def test_equal_runs_are_cut_as_without_history(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, {"a/1": 7.0})
    assert _tasks(ledger) == [[["a:0", "a:1", "a:2", "a:3"], ["a:4", "a:5", "a:6", "a:7"]]]


def test_runs_of_which_nothing_is_known_come_first(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, {f"a/{x}": 5.0 for x in range(8)}, f'{RUNS}[runs.b]\ncmd = "b"\n')
    assert [chunk[0] for chunk in _tasks(ledger)[0]] == ["b", "a:0", "a:4"]


def test_stages_that_pair_up_do_so_as_long_as_no_chunk_is_twice_as_long(tmp_path: Path) -> None:
    pairs = f'{RUNS}[runs.b]\ncmd = "b {{x}}"\nafter = ["a:{{x}}"]\nmatrix = {{ x = {{ range = [0, 8] }} }}\n'
    first = {f"a/{x}": 8.0 if x < 2 else 1.0 for x in range(8)}
    ledger = _ledger(tmp_path, {**first, **{f"b/{x}": 3.0 for x in range(8)}}, pairs)
    pieces = cut(_choose(ledger), SHAPE, Forecast(ledger).of)
    assert [len(chunk) for group in pieces.groups for chunk in group] == [2, 6, 2, 6]
    assert pieces.after == [(), (), (0,), (1,)]
    ledger = _ledger(tmp_path, {**first, **{f"b/{x}": 1.0 if x < 2 else 9.0 for x in range(8)}}, pairs)
    pieces = cut(_choose(ledger), replace(SHAPE, limit=20.0), Forecast(ledger).of)
    assert pieces.after == [(), (), (0,), (1,), (1,)]
    ledger = _ledger(tmp_path, {f"{stage}/{x}": 60.0 for stage in "ab" for x in range(8)}, pairs)
    pieces = cut(_choose(ledger), replace(SHAPE, machines=1), Forecast(ledger).of)
    assert [len(chunk) for group in pieces.groups for chunk in group] == [4, 2, 2, 4, 2, 2]
    assert pieces.after == [(), (), (), (0,), (1,), (2,)]


def test_chunks_stay_while_they_are_executed(tmp_path: Path) -> None:
    """What is completed meanwhile tells more of how long the others take; another `batch_size` cuts again."""
    before = _ledger(tmp_path, {f"a/{x}": (x + 1.0) ** 2 for x in range(8)})
    (chunks,) = cut(_choose(before), SHAPE, Forecast(before).of).groups
    assert [len(chunk) for chunk in chunks] == [5, 3]
    written = texts(before, chunks, SHAPE, "ID", waiting=False)
    ledger = Ledger(before.batch, {**before.records, "a/7": _record(1.0), "a/0": Record(0, "y-1")})
    choice = _choose(ledger)
    assert len(choice.works) == 7
    (other,) = cut(choice, SHAPE, Forecast(ledger).of).groups
    assert [len(chunk) for chunk in other] == [4, 3]
    assert covers(written, ledger, choice.works, SHAPE)
    assert not covers(written[1:], ledger, choice.works, SHAPE)
    for edit in ('"out"\nbatch_size = 4', '"out"\nbatch_size = 2'):
        edited = _ledger(tmp_path, {}, RUNS.replace('"out"', edit))
        assert not covers(written, edited, choice.works, SHAPE)
    commands = _ledger(tmp_path, {}, RUNS.replace('"a {x}"', '"b {x}"'))
    assert not covers(written, commands, choice.works, SHAPE)
