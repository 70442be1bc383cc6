"""Stages that come after others."""

from __future__ import annotations

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
    assert "`y` was not started: `x` has not been completed\n" in done.out
    assert "`z` was not started: `y` has not been completed\n" in done.out
    assert "1 completed, 1 failed, 4 not executed" in done.out
    again = three("z:1")
    assert again.code == 1
    assert three.executed() == ["x:2"]
    (three.folder / "fail-x-2").unlink()
    three.ok()
    assert three.executed() == ["x:2", "y:1", "y:2", "z:1", "z:2"]


def test_a_chain_is_stale_behind_what_was_published(three: Box) -> None:
    three.ok()
    three.executed()
    assert three.ok("-a", "x:2").startswith("1 of 1 runs to execute: 1 forced")
    assert three.executed() == ["x:2"]
    plan = three.ok("plan").splitlines()
    assert plan[0] == (
        "4 of 6 runs to execute: 2 an earlier stage has been published since, "
        "2 comes after `y`, which has runs to execute"
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
