"""`plan`: what would execute, and why."""

from __future__ import annotations

import json

from tests.conftest import HEAD, Box


def test_plan_counts_by_reason(stages: Box) -> None:
    assert stages.ok("plan").splitlines() == [
        "4 of 4 runs to execute: 4 no outcome yet",
        "  a:1  incomplete: no outcome yet",
        "  a:2  incomplete: no outcome yet",
        "  a:3  incomplete: no outcome yet",
        "  b  incomplete: no outcome yet",
    ]
    stages.ok()
    assert stages.ok("plan") == "all 4 runs are up to date\n"
    (stages.folder / "out/a/2/status_code").write_text("what?")
    (stages.folder / "out/a/3/status_code").write_text("5")
    plan = stages.ok("plan").splitlines()
    assert plan[0] == (
        "3 of 4 runs to execute: 1 status_code holds no status code, 1 failed before, "
        "1 an earlier run is to be executed: a:2"
    )
    assert plan[1:] == [
        "  a:2  incomplete: status_code holds no status code",
        "  a:3  error: status code 5",
        "  b  stale: an earlier run is to be executed: a:2",
    ]
    assert stages.ok("plan", "a:2", "a:1").startswith("1 of 2 runs to execute: 1 status_code holds")
    assert stages.ok("plan", "-a", "a:1").startswith("1 of 1 runs to execute: 1 forced")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]  # all before the plans


def test_plan_lists_twenty(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "echo {x}"\nmatrix = { x = { range = [0, 25] } }\n')
    shown = box.ok("plan").splitlines()
    assert (len(shown), shown[-1]) == (22, "  and 5 more; --all lists them")
    assert len(box.ok("plan", "--all").splitlines()) == 26
    assert not (box.folder / "out").exists()


def test_plan_warns_of_moved_positions(box: Box) -> None:
    runs = [f'[[runs]]\ncmd = "echo {x}"\n' for x in "pqr"]
    box.batchfile(HEAD + "".join(runs))
    box.ok()
    assert "warning" not in box.ok("plan")
    box.batchfile(HEAD + '[[runs]]\ncmd = "echo o"\n' + "".join(runs))
    plan = box.ok("plan")
    assert plan.startswith("4 of 4 runs to execute: 3 the command has changed, 1 no outcome yet\n")
    assert "warning: 3 runs without a name are where another command was (first `0`)" in plan


def test_plan_says_the_most_frequent_reasons(box: Box) -> None:
    stage = 'cmd = "echo {x}"\nfile_dep = ["in{x}.csv"]\nmatrix = { x = { range = [0, 30] } }\n'
    box.batchfile(f"{HEAD}[runs.a]\n{stage}")
    first = box.ok("plan").splitlines()[0]
    assert first.startswith("30 of 30 runs to execute: 1 file_dep `in0.csv` matches no file in ")
    assert first.endswith(", 22 for other reasons")


def took(box: Box, key: str, seconds: float) -> None:
    """Let a run have been completed, with another command, in so many seconds."""
    times = {"started": 1000.0, "finished": 1000.0 + seconds}
    box.write(f"out/{key}/run.json", json.dumps({"attempt": "x-1", "fingerprint": "1-2-3-4", **times}))
    box.write(f"out/{key}/status_code", "0")


PAST = """\
[batch]
remote_output_path = "file://out"
nprocs = 4
durable = false
[runs.a]
cmd = "echo {x}"
matrix = { x = { range = [0, 8] } }
"""


def test_plan_and_submit_tell_the_expected_end_where_it_is_known(box: Box) -> None:
    box.batchfile(PAST)
    for x in range(6):
        took(box, f"a/{x}", 1800.0 if x else 3600.0)
    told = "about 68 min with 4 at once, 4.5 core-hours (from 6 past durations)"
    assert box.ok("plan").splitlines()[-1] == told
    slurm = PAST.replace("nprocs", "scale = 8\nnprocs") + '[slurm]\ntime = "0:50:00"\n'
    box.batchfile(slurm)
    assert box.ok("plan").splitlines()[-2:] == [
        "about 60 min on 8 machines, 4.5 core-hours (from 6 past durations)",
        "warning: 1 run takes longer than the 44:20 that a job has for its runs; the longest is a:0, about 60 min",
    ]
    box.batchfile(slurm.replace("scale = 8\n", ""))
    assert box.ok("plan").splitlines()[-2] == "4.5 core-hours (from 6 past durations)"
    box.batchfile(PAST)
    submitted = box.ok("submit", "--engine", "local", "--wait").splitlines()
    assert any(line.endswith(f" to local: 8 runs in 1 chunk, {told}") for line in submitted), submitted
    assert box.ok("plan") == "all 8 runs are up to date\n"


def test_plan_tells_a_bound_that_can_stop_something(box: Box) -> None:
    runs = '[runs.a]\ncmd = "false {x}"\nmatrix = { x = { range = [0, 10] } }\n'
    for bound, budget in (('"50%"', 5), ("9", 9), ("10", None), ("11", None), ('"100%"', None)):
        box.batchfile(HEAD.replace("nprocs", f"max_failures = {bound}\nnprocs") + runs)
        told = [f"stops after {budget} failures (`max_failures`)"] if budget else []
        assert [line for line in box.ok("plan").splitlines() if "max_failures" in line] == told
        assert json.loads(box.ok("plan", "--json"))["max_failures"] == budget
        assert json.loads(box.ok("plan", "--json", "a:1", "a:2"))["max_failures"] is None


def test_moved_outputs_stay_current(box: Box) -> None:
    """Another machine may have the same folder mounted elsewhere; `{after.STAGE}` is a path."""
    matrix = "matrix = { x = [1, 2] }"
    box.batchfile(
        f'{HEAD}[runs.a]\ncmd = "echo {{x}}"\n{matrix}\n'
        f'[runs.b]\ncmd = "cat {{after.a}}/stdout"\nafter = ["a:{{x}}"]\n{matrix}\n'
    )
    box.ok("run")
    moved = box.folder
    for name in ("p q", "other's"):
        moved = moved.rename(moved.with_name(name))
        assert box.ok("plan", cwd=moved) == "all 4 runs are up to date\n"
