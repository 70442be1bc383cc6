"""What each run of a stage comes after, whatever way it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pydoit_sc.batch import Batch, Run, RunSet
from pydoit_sc.made import Befores, MadeRuns, Picked

Make = Callable[..., Batch]
Problems = Callable[..., list[str]]

STAGES = """
[batch]
remote_output_path = "/o"
[runs.first]
cmd = "x"
[runs.a]
cmd = "x"
name = "{m}-{n}"
matrix = { m = ["p", "q"], n = { range = [0, 3, 1] } }
[runs.c]
cmd = "x"
matrix = { m = ["q", "p"], include = [{ m = "r" }] }
[runs.b]
cmd = "x {m} {n}"
name = "{n}-{m}"
AFTER
matrix = { n = { range = [0, 3, 1] }, m = ["p", "q"] }
[runs.d]
cmd = "x {m} {n}"
name = "{m}-{n}"
AFTER
matrix = { m = ["p", "q"], n = { range = [0, 3, 1] } }
"""

#: The words, what they are for `p` and 1, and whether no run of an earlier stage is kept.
CASES: list[tuple[list[str], list[str], bool]] = [
    ([], [], True),
    (["a:{m}-{n}"], ["a/p-1"], True),
    (["c:{m}"], ["c/p"], True),
    (["a:{m}-{n}", "c:{m}"], ["a/p-1", "c/p"], True),
    (["c", "a:{m}-{n}", "first"], ["c: c/q c/p c/r", "first", "a/p-1"], True),
    (["a:q-2"], ["a/q-2"], True),
    (["a:q-*", "c:r"], ["a: a/q-0 a/q-1 a/q-2", "c/r"], True),
    (["a:{m}-*"], ["a: a/p-0 a/p-1 a/p-2"], False),
    (["a:{m}-{n}", "a:q-0"], ["a/p-1", "a/q-0"], False),
    (["a:{m}-{n}", "a:p-1"], ["a/p-1"], False),
    (["a:{m}-{n}", "a"], ["a: a/p-0 a/p-1 a/p-2 a/q-0 a/q-1 a/q-2"], False),
]


def said(before: Sequence[Run | RunSet]) -> list[str]:
    return [
        one.key if isinstance(one, Run) else f"{one.stage}: {' '.join(run.key for run in one.members)}"
        for one in before
    ]


@pytest.mark.parametrize(("words", "expected", "is_made"), CASES)
def test_what_a_run_comes_after(make: Make, words: list[str], expected: list[str], is_made: bool) -> None:
    batch = make(STAGES.replace("AFTER", f"after = {words}" if words else ""))
    stages = {stage.name: stage for stage in batch.stages}
    for name in ("b", "d"):
        runs = stages[name].runs
        assert isinstance(runs, MadeRuns)
        assert isinstance(runs.after, Befores) == is_made
        whole = list(runs.after)
        (one,) = (i for i, run in enumerate(runs) if run.name in ("p-1", "1-p"))
        assert sorted(said(whole[one])) == sorted(expected)
        assert [run.after for run in runs] == [runs.after[i] for i in range(len(runs))] == whole
        assert list(runs.after[1:5:2]) == whole[1:5:2] == [run.after for run in runs[1:5:2]]


def test_runs_that_pair_up_are_those_of_the_stage(make: Make) -> None:
    batch = make(STAGES.replace("AFTER", 'after = ["a:{m}-{n}"]'))
    a, b, d = (stage.runs for stage in batch.stages if stage.name in "abd")
    assert isinstance(b, MadeRuns) and isinstance(d, MadeRuns)
    assert isinstance(b.after, Befores) and isinstance(d.after, Befores)
    assert d.after.columns[0] is a
    assert isinstance(b.after.columns[0], Picked)
    assert [run.after[0] for run in d] == list(a)
    assert [said(run.after) for run in b] == [[f"a/{m}-{n}"] for n in range(3) for m in "pq"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["first:x"], "stage `first` is one run, without a name; write `first`"),
        (["c:s"], "stage `c` has no run `s`; it has `q`, `p`, `r`"),
        (["a:p_1"], "stage `a` has no run `p_1`; did you mean `a:p-1`?"),
        (["a:{n}-{m}"], "stage `a` has no run `0-p`; it has `p-0`, `p-1`, `p-2`, `q-0`, `q-1` and 1 more"),
        (["a:x*"], "no run of `a` matches `x*`; it has `p-0`, `p-1`, `p-2`, `q-0`, `q-1` and 1 more"),
    ],
)
def test_a_word_that_names_nothing(problems: Problems, words: list[str], message: str) -> None:
    found = problems(STAGES.replace("AFTER", f"after = {words}"))
    assert [line.partition(": ")[2] for line in found] == [
        f"runs.{stage}.after[0]: {message}" for stage in ("b", "d")
    ]


def test_a_command_knows_the_output_of_the_one_run_before_it(make: Make, problems: Problems) -> None:
    text = STAGES.replace("x {m} {n}", "x {after.a} {after.first}")
    batch = make(text.replace("AFTER", 'after = ["a:{m}-{n}", "first"]'))
    b = next(stage.runs for stage in batch.stages if stage.name == "b")
    assert [run.cmd for run in b][:2] == ["x /o/a/p-0 /o/first", "x /o/a/q-0 /o/first"]
    line, _ = problems(text.replace("AFTER", 'after = ["a:{m}-*", "first"]'))
    assert "runs.b.cmd: `{after.a}` is the output of one run, and `after` names several of `a` (in " in line


ONLY = STAGES.replace("AFTER", "") + "[runs.only]\ncmd = '''CMD'''\n"


@pytest.mark.parametrize(
    ("cmd", "written"),
    [
        ("cat {after.first}/stdout", "cat /o/first/stdout"),
        ("{after.a} {after.first!s}x {after.a:>10}", "/o/a/p-1 /o/firstx '  /o/a/p-1'"),
        ("awk '{print $1}' ${X} {a,b} {} {after.first} }{", "awk '{print $1}' ${X} {a,b} {} /o/first }{"),
        (
            "echo {{after.first}} {after.c} {after.nope} {after} {after.}",
            "",
        ),  # none of `after`, as they stand
        ("awk '{print $1}' ${X} {a,b} {} }{ `x` \\", ""),
    ],
)
def test_a_stage_without_a_matrix_knows_it_too(make: Make, cmd: str, written: str) -> None:
    """There all else is literal: braces, and placeholders of stages that `after` does not name."""
    batch = make(ONLY.replace("CMD", cmd) + 'after = ["a:p-1", "first"]\n')
    assert batch.stages[-1].runs[0].cmd == (written or cmd)


@pytest.mark.parametrize(
    ("cmd", "after", "fault"),
    [
        ("{after.a}", '["a"]', "`{after.a}` is the output of one run, and `after` names several of `a`"),
        ("{after.a}", '["a:p-*"]', "`{after.a}` is the output of one run, and `after` names several of `a`"),
        (
            "x ${after.first}",
            '["first"]',
            "`{after.first}` stands after `$`, where a value cannot be quoted; ",
        ),
        (
            "x {after.first:d}",
            '["first"]',
            '`{after.first:d}`: expected an integer for `:d`, found "/o/first"',
        ),
        (
            "print({after.first})",
            '["first"]\nshell = ["python", "-c"]',
            "`{after.first}` cannot be quoted for",
        ),
    ],
)
def test_where_an_output_cannot_stand_without_a_matrix(
    problems: Problems, cmd: str, after: str, fault: str
) -> None:
    (found,) = problems(ONLY.replace("CMD", cmd) + f"after = {after}\n")
    place, _, message = found.partition(": ")
    assert (place.split(":")[1:], message.partition(": ")[0]) == (["24", "1"], "runs.only.cmd")
    assert message.partition(": ")[2].startswith(fault)
