"""Stages that come after others."""

from __future__ import annotations

import json

import pytest

from tests.conftest import HEAD, Box


def chain(*stages: str, **after: str) -> str:
    """Return a batchfile of stages with two runs each; those that `fail` names fail."""
    return HEAD + "".join(
        f"""
[runs.{name}]
cmd = "echo {name}:{{x}} >> log; test ! -e fail-{name}-{{x}}"
after = [{after.get(name, "")}]
matrix = {{ x = [1, 2] }}
"""
        for name in stages
    )


@pytest.fixture
def three(box: Box) -> Box:
    """A chain of three stages, written down the other way round."""
    box.batchfile(chain("z", "y", "x", z='"y"', y='"x"'))
    return box


def test_a_chain_goes_in_order(three: Box) -> None:
    three.ok("-n", "4")
    lines = (three.folder / "log").read_text().split()
    assert [line[0] for line in lines] == ["x", "x", "y", "y", "z", "z"]
    three.executed()
    assert three.ok() == "all 6 runs are up to date\n"


def test_a_failure_blocks_what_comes_after(three: Box) -> None:
    three.write("fail-x-2", "")
    done = three()
    assert (done.code, done.err) == (1, "")
    assert three.executed() == ["x:1", "x:2"]
    assert "1 completed, 1 failed, 4 not executed" in done.out
    assert "\n4 incomplete: waits for x:2 (failed)\n" in done.out
    again = three("z:1")
    assert again.code == 1
    assert three.executed() == ["x:2"]
    (three.folder / "fail-x-2").unlink()
    three.ok()
    assert three.executed() == ["x:2", "y:1", "y:2", "z:1", "z:2"]


def test_what_waits_is_stale_where_it_has_been_completed(three: Box) -> None:
    three.ok("z:1")
    three.executed()
    three.write("fail-x-2", "")
    done = three("-a", "x:2", "z:1")
    assert done.code == 1
    assert "\n3 stale: waits for x:2 (failed)\n" in done.out  # y:1, y:2 and z:1
    three.write("fail-x-2", "")
    assert "\n1 incomplete: waits for x:2 (failed)\n" in three().out  # z:2
    assert "\n3 stale: waits for x:2 (failed)\n" in three().out


def test_a_chain_is_stale_behind_what_was_published(three: Box) -> None:
    three.ok()
    three.executed()
    assert three.ok("-a", "x:2").startswith("1 of 1 runs to execute: 1 forced")
    assert three.executed() == ["x:2"]
    plan = three.ok("plan").splitlines()
    assert plan[0] == (
        "4 of 6 runs to execute: 2 the earlier runs have changed, 2 an earlier run is to be executed: y:1"
    )
    three.ok()
    assert three.executed() == ["y:1", "y:2", "z:1", "z:2"]


def test_a_forgotten_run_in_the_middle(three: Box) -> None:
    three.ok()
    three.executed()
    three.ok("forget", "y:1")
    three.ok()
    assert three.executed() == ["y:1", "z:1", "z:2"]


def test_independent_stages_do_not_wait_for_each_other(box: Box) -> None:
    box.batchfile(chain("p", "q", "r", r='"p"'))
    box.write("fail-p-1", "")
    assert box("-n", "1").code == 1
    assert box.executed() == ["p:1", "p:2", "q:1", "q:2"]


def test_independent_stages_share_the_ranks(box: Box) -> None:
    meet = "touch {0}; n=0; while [ ! -e {1} ]; do sleep 0.02; n=$((n+1)); [ $n -lt 500 ] || exit 1; done"
    box.batchfile(
        HEAD + f'[runs.p]\ncmd = "{meet.format("p", "q")}"\n[runs.q]\ncmd = "{meet.format("q", "p")}"\n'
    )
    box.ok()


def test_two_stages_before_one(box: Box) -> None:
    box.batchfile(chain("p", "q", "r", r='"p", "q"'))
    box.ok()
    box.executed()
    box.ok("-a", "q:1")
    assert box.executed() == ["q:1"]
    box.ok("r")
    assert box.executed() == ["r:1", "r:2"]


def test_what_an_earlier_stage_writes_is_a_file_dep_of_a_later_one(box: Box) -> None:
    box.batchfile(
        HEAD
        + """
[runs.make]
cmd = "echo make:{x} >> log; cat in > made-{x}"
file_dep = ["in"]
matrix = { x = [1, 2] }
[runs.join]
cmd = "echo join >> log; cat made-* > joined"
file_dep = ["made-*"]
after = ["make"]
[runs.use]
cmd = "echo use:{x} >> log; cat joined"
file_dep = ["joined"]
after = ["join"]
matrix = { x = [1, 2] }
"""
    )
    everything = ["join", "make:1", "make:2", "use:1", "use:2"]
    for content in ("old", "new"):
        box.write("in", content)
        box.ok()
        assert box.executed() == everything
        assert box.ok() == "all 5 runs are up to date\n"


PIPELINE = """
[runs.align]
cmd = "echo align:{s} >> log; test ! -e fail-{s} && cat in-{s}"
name = "{s}"
file_dep = ["in-{s}"]
matrix = { s = ["s0", "s1", "s2", "s3"] }
[runs.call]
cmd = "echo call:{s} >> log; cat {after.align}/stdout"
name = "{s}"
after = ["align:{s}"]
matrix = { s = ["s0", "s1", "s2", "s3"] }
[runs.even]
cmd = "echo even >> log"
after = ["call:s[02]"]
[runs.sum]
cmd = "echo sum >> log"
after = ["call"]
"""


@pytest.fixture
def samples(box: Box) -> Box:
    """Four samples that go through two stages each, and two runs that gather them."""
    for n in range(4):
        box.write(f"in-s{n}", f"{n}")
    box.batchfile(HEAD + PIPELINE)
    return box


def test_an_edit_touches_the_runs_that_depend_on_it_and_no_others(samples: Box) -> None:
    samples.ok()
    assert len(samples.executed()) == 10
    assert (samples.folder / "out/call/s1/stdout").read_text() == "1"
    samples.write("in-s1", "one")
    assert samples("plan", "--check").code == 1
    samples.ok()
    assert samples.executed() == ["align:s1", "call:s1", "sum"]
    assert (samples.folder / "out/call/s1/stdout").read_text() == "one"
    assert samples.ok() == "all 10 runs are up to date\n"
    assert samples("plan", "--check").code == 0


def test_a_failed_run_holds_back_only_what_depends_on_it(samples: Box) -> None:
    samples.write("fail-s1", "")
    done = samples()
    assert done.code == 1
    assert samples.executed() == [
        "align:s0",
        "align:s1",
        "align:s2",
        "align:s3",
        "call:s0",
        "call:s2",
        "call:s3",
        "even",
    ]
    assert "\n2 incomplete: waits for align:s1 (failed)\n" in done.out
    (samples.folder / "fail-s1").unlink()
    samples.ok()
    assert samples.executed() == ["align:s1", "call:s1", "sum"]


def test_a_run_starts_as_soon_as_those_it_waits_for_are_completed(box: Box) -> None:
    """The second sample's first run ends only when the last run of the first sample has begun."""
    box.batchfile(
        HEAD
        + """
[runs.align]
cmd = "n=0; until [ {s} = s0 -o -e seen ]; do sleep 0.02; n=$((n+1)); [ $n -lt 1500 ] || exit 1; done"
name = "{s}"
matrix = { s = ["s0", "s1"] }
[runs.call]
cmd = "true"
name = "{s}"
after = ["align:{s}"]
matrix = { s = ["s0", "s1"] }
[runs.last]
cmd = "touch seen"
after = ["call:s0"]
"""
    )
    box.ok("-n", "2")


@pytest.mark.parametrize(
    "words", [["call:s1"], ["call"], ["sum"], ["even"], ["align:s*"], ["call:s1", "even"], []]
)
def test_plan_and_run_select_the_same_runs(samples: Box, words: list[str]) -> None:
    planned = samples.ok("plan", "--all", *words).splitlines()
    names = sorted(line.split()[0] for line in planned[1:])
    assert samples.ok("run", *words).splitlines()[0] == planned[0]
    assert samples.executed() == names


def test_an_earlier_run_that_is_ignored_holds_nothing_back(samples: Box) -> None:
    samples.ok("ignore", "align:s1")
    samples("call:s1")
    assert samples.executed() == ["call:s1"]


def test_doits_own_runner_knows_the_order_of_runs(samples: Box) -> None:
    samples.write("doit.cfg", "[GLOBAL]\nloader = batchfile\n")
    assert samples("call:s2", program="doit").code == 0
    assert samples.executed() == ["align:s2", "call:s2"]
    assert samples("even", program="doit").code == 0
    assert samples.executed() == ["align:s0", "call:s0", "even"]


def test_doits_own_runner_executes_what_it_says(samples: Box) -> None:
    samples.write("doit.cfg", "[GLOBAL]\nloader = batchfile\n")
    samples.ok("call:s2")
    samples.ok("forget", "call:s2")
    samples.write("in-s2", "two")
    samples.executed()
    assert samples("-s", "call:s2", program="doit").code == 0
    assert samples.executed() == ["call:s2"]
    for _ in range(2):
        assert samples("-a", "call:s2", program="doit").out == ".  align:s2\n.  call:s2\n"
        assert samples.executed() == ["align:s2", "call:s2"]


def test_runs_that_waited_are_executed_once(box: Box) -> None:
    """More runs than ranks: the first are released while the dispatcher has not reached their stage, others while it is there."""
    number = "matrix = { n = { range = [0, 60] } }\n"
    box.batchfile(
        f'{HEAD}[runs.a]\ncmd = "true"\n{number}'
        f'[runs.b]\ncmd = "echo {{n}} >> log"\nafter = ["a:{{n}}"]\n{number}[runs.c]\ncmd = "wc -l < log"\nafter = ["b"]\n'
    )
    box.ok()
    assert sorted(map(int, (box.folder / "log").read_text().split())) == list(range(60))
    assert box.out("c/stdout") == "60\n"


def test_years_gather_their_months(box: Box) -> None:
    box.batchfile(
        HEAD
        + """
[runs.month]
cmd = "echo month:{m.start:%Y-%m} >> log; echo {m.start:%m}; cat edit-{m.start:%Y-%m} || :"
name = "{m.start:%Y-%m}"
env = { EDIT = "{m.start:%Y-%m}" }
matrix = { m = { from = 2023-01-01, to = 2024-12-01, every = "1 month" } }
[runs.year]
cmd = "echo year:{y.start:%Y} >> log; cat out/month/{y.start:%Y}-*/stdout | wc -l"
name = "{y.start:%Y}"
after = ["month:{y.start:%Y}-*"]
matrix = { y = { from = 2023-01-01, to = 2024-12-31, every = "1 year" } }
"""
    )
    box.ok("-n", "4")
    assert len(box.executed()) == 26
    assert box.out("year/2024/stdout") == "12\n"
    assert box.ok() == "all 26 runs are up to date\n"
    box.ok("forget", "month:2023-07")
    box.ok()
    assert box.executed() == ["month:2023-07", "year:2023"]
    assert box.ok() == "all 26 runs are up to date\n"


def test_doits_own_reporters_show_runs_that_cannot_be_started(box: Box) -> None:
    box.batchfile(
        HEAD
        + """
[runs.a]
cmd = "echo {x}; test {x} = 1"
file_dep = ["in-{x}"]
matrix = { x = [0, 1, 2] }
"""
    )
    box.write("in-1", "")
    box.write("in-2", "")
    done = box("--reporter", "json")
    assert done.code == 2
    results = {task["name"]: task["result"] for task in json.loads(done.out)["tasks"]}
    assert results == {"a:0": "fail", "a:1": "success", "a:2": "fail"}
    done = box("--reporter", "console")
    assert done.code == 2
    assert "failed a:2: status code 1" in done.out + done.err
