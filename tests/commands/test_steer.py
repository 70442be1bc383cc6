"""`scale`, `pause` and `resume`, and what Ctrl-Z does."""

from __future__ import annotations

import json

import pytest

from tests.conftest import HEAD, Box, until

#: Two runs that end when both execute.
MEETING = HEAD.replace("nprocs = 2", "nprocs = 1") + (
    '[runs.a]\ncmd = "touch m.{x}; until [ -e m.1 -a -e m.2 ]; do sleep 0.01; done"\nmatrix = { x = [1, 2] }\n'
)


def test_a_run_is_scaled(box: Box) -> None:
    box.batchfile(MEETING)
    with box.start() as worker:
        until((box.folder / "m.1").exists)
        assert box.ok("scale", "2") == "2 at once: `pydoit-sc run`\n"
        out, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert "2 runs at once from now on, as `scale` says\n" in out


@pytest.mark.slow
def test_the_workers_of_a_submission_are_paused_and_resumed(box: Box) -> None:
    box.batchfile(
        HEAD.replace("nprocs = 2", "nprocs = 1\nbatch_size = 1")
        + '[runs.a]\ncmd = "echo {x} >> log; until [ -e go ]; do sleep 0.01; done"\nmatrix = { x = [1, 2] }\n'
    )
    box.ok("submit", "--engine", "local")
    until((box.folder / "log").exists)
    (note,) = (box.folder / "out/.pydoit_sc/submitted").iterdir()
    assert f"paused: `pydoit-sc run`, {note.stem} (local)" in box.ok("pause")
    assert f"{note.stem}: paused: no further run starts" in box.ok("submissions")
    box.write("go", "")
    until((box.folder / "out/a/1/status_code").exists)
    logs = box.folder / f"out/.pydoit_sc/submissions/{note.stem}/logs"
    until(lambda: any("paused: no further run starts" in path.read_text() for path in logs.iterdir()))
    assert box.executed() == ["1"]
    assert box.ok("resume", note.stem).startswith(f"resumed: {note.stem} (local)\n")
    assert "paused" not in box.ok("submissions")
    until((box.folder / "out/a/2/status_code").exists)
    assert f"there is no submission `{note.stem}0`; did you mean" in box("pause", f"{note.stem}0").refused()


@pytest.mark.parametrize("wait", [True, False])
def test_cancelled_runs_are_not_called_lost(box: Box, *, wait: bool) -> None:
    """Nor what comes after them, neither to who waits nor to the batch's own commands."""
    box.batchfile(
        HEAD.replace(
            "nprocs = 2", 'nprocs = 1\nbatch_size = 4\non_finish = "echo $PYDOIT_SC_EXIT_CODE > told"'
        )
        + '[runs.a]\ncmd = "touch began; until [ -e go ]; do sleep 0.01; done"\nmatrix = { x = [1, 2, 3] }\n'
        + '[runs.b]\ncmd = "true"\nafter = ["a:2"]\n'
    )
    with box.start("submit", "--engine", "local", *["--wait"] * wait) as submitting:
        until((box.folder / "began").exists)
        assert "cancelled 2 runs" in box.ok("cancel", "a:2", "a:3")
        logs = [*(box.folder / "out/.pydoit_sc/submissions").glob("*/logs/*.log")]
        until(lambda: any("2 runs of this submission are cancelled" in path.read_text() for path in logs))
        box.write("go", "")
        out, err = submitting.communicate(timeout=60)
    assert (submitting.returncode, err) == (int(wait), ""), out
    assert not wait or "2 incomplete: cancelled\n1 incomplete: waits for a:2 (cancelled)\n" in out
    until(lambda: (box.folder / "told").exists() and (box.folder / "told").read_text() == "1\n")
    box.ok("submit", "--engine", "local", "--wait")
    assert (box.folder / "told").read_text() == "0\n"


def test_a_submission_that_is_cancelled_as_a_whole_is_not_called_lost(box: Box) -> None:
    box.batchfile(
        HEAD
        + 'on_failure = "echo $PYDOIT_SC_EXIT_CODE > told"\n'
        + '[runs.a]\ncmd = "touch began; while :; do sleep 0.1; done"\nmatrix = { x = [1, 2, 3] }\n'
        + '[runs.b]\ncmd = "true"\nafter = ["a"]\n'
    )
    with box.start("submit", "--engine", "local", "--wait") as submitting:
        until((box.folder / "began").exists)
        box.ok("pause")  # another order, which stays
        assert "cancelled " in box.ok("cancel")
        out, err = submitting.communicate(timeout=60)
    assert (submitting.returncode, err) == (1, ""), out
    assert "4 incomplete: cancelled\n" in out
    assert (box.folder / "told").read_text() == "1\n"


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(
    ("lost", "more", "cancelled", "expected"),
    [
        ("kill -9 $PPID", "", ["a:1"], 2),
        ("kill -9 $PPID", "", [], 2),
        ("exit 1", '[runs.b]\ncmd = "true"\nafter = ["a:2"]\n', [], 1),
        ("exit 1", "--max-failures=1", [], 1),
    ],
)
def test_who_waits_and_who_is_told_hear_of_one_end(
    box: Box, lost: str, more: str, cancelled: list[str], expected: int, *, wait: bool
) -> None:
    """Of runs that are lost, whatever else has failed or was cancelled."""
    options = [more] * more.startswith("--") + ["--wait"] * wait
    box.batchfile(
        HEAD.replace("nprocs = 2", "nprocs = 1\nbatch_size = 3\nscale = 1")
        + 'on_finish = "echo $PYDOIT_SC_EXIT_CODE > told"\n'
        + """[runs.a]
cmd = "touch began.{x}; until [ -e go ]; do sleep 0.01; done; case {x} in 2) LOST;; 4) exit 1;; esac"
matrix = { x = [0, 1, 2, 3, 4, 5] }
""".replace("LOST", lost)
        + more * (not more.startswith("--"))
    )
    with box.start("submit", "--engine", "local", *options) as submitting:
        until((box.folder / "began.0").exists)
        if cancelled:
            box.ok("cancel", *cancelled)
        box.write("go", "")
        submitting.communicate(timeout=60)
    until(lambda: (box.folder / "told").exists() and (box.folder / "told").read_text() == f"{expected}\n")
    assert submitting.returncode == (expected if wait else 0)


def test_a_pause_of_nothing_says_so(box: Box) -> None:
    box.batchfile(MEETING)
    done = box("pause")
    assert (done.code, done.out) == (0, "paused: `pydoit-sc run`\n")
    assert (
        done.err == "no worker says that it executes anything now: a `run` that starts later is not paused\n"
    )
    assert box("resume").err == ""


@pytest.mark.parametrize("word", ["", "0", "x", "10001"])
def test_what_scale_does_not_take(box: Box, word: str) -> None:
    box.batchfile(MEETING)
    expected = "a number from 1 to 10,000, found `" + word if word else "how many runs at once, found nothing"
    assert f"scale: expected {expected}" in box("scale", *filter(None, [word])).refused()


def test_scale_takes_no_option_for_a_number(box: Box) -> None:
    box.batchfile(MEETING)
    assert "option -1 not recognized" in box("scale", "-1").refused()


def test_ctrl_z_stops_the_worker_and_not_its_runs(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "touch began; until [ -e go ]; do sleep 0.01; done; touch ended"\n')
    done = box.shell(
        "set -m; pydoit-sc > said & until [ -e began ]; do sleep 0.01; done; kill -TSTP %1; "
        "until grep -q '^State:.T' /proc/$!/status; do sleep 0.01; done; touch go; "
        "until [ -e ended ]; do sleep 0.01; done; ls out; kill -CONT %1; wait %1"
    )
    assert (done.code, done.out) == (0, ""), done
    assert json.loads(box.out("a/run.json"))["status_code"] == 0
