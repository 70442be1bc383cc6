"""`on_failure` and `on_finish`: run once at the end of an execution, with its counts, and without a say in its exit code."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pydoit_sc import errors, hooks
from pydoit_sc.batch import Batch
from pydoit_sc.cli import main
from pydoit_sc.outcomes.counts import Counts
from tests.conftest import HEAD, Box, until
from tests.starts import PROGRAMS

#: Each writes its name and some of what it finds into `told`.
HOOKS = (
    HEAD
    + """\
on_failure = 'echo "failure $PYDOIT_SC_COMPLETED $PYDOIT_SC_FAILED $PYDOIT_SC_NOT_EXECUTED $PYDOIT_SC_EXIT_CODE" >> told'
on_finish = 'echo "finish $PYDOIT_SC_COMPLETED $PYDOIT_SC_SKIPPED ${PYDOIT_SC_SUBMISSION:+submission}" >> told'
"""
)
RUNS = '[runs.a]\ncmd = "test {x} != 2 || exit $(cat code)"\nmatrix = { x = [1, 2, 3] }\n'


def told(box: Box) -> list[str]:
    """Return what the commands have written since the last call."""
    file = box.folder / "told"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return [line.strip() for line in lines]


@pytest.fixture
def hooked(box: Box) -> Box:
    """A batch with both, of three runs whose second fails."""
    box.batchfile(HOOKS + RUNS)
    box.write("code", "7")
    return box


def run(box: Box, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Execute in this process."""
    monkeypatch.chdir(box.folder)
    return main(list(words))


def test_each_is_run_once_where_it_is_due(hooked: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(hooked, monkeypatch) == 1
    assert told(hooked) == ["failure 2 1 0 1", "finish 2 0"]
    assert run(hooked, monkeypatch, "run", "--no-hooks") == 1
    assert run(hooked, monkeypatch, "run", "a:1") == 0  # nothing to execute
    assert told(hooked) == []
    hooked.write("code", "0")
    assert run(hooked, monkeypatch, "run", "--json") == 0
    assert told(hooked) == ["finish 1 2"]


@pytest.mark.parametrize("reporter", ["console", "executed-only", "zero", "error-only", "json"])
def test_whatever_shows_it(hooked: Box, reporter: str) -> None:
    assert hooked("-r", reporter).code == 1
    assert told(hooked) == ["failure 2 1 0 1", "finish 2 0"]


def test_why_with_another_reporter(hooked: Box) -> None:
    hooked.edit("matrix", 'file_dep = ["nope"]\nmatrix')
    hooked.edit("finish $PYDOIT_SC_COMPLETED", "$PYDOIT_SC_WHY $PYDOIT_SC_COMPLETED")
    assert hooked("-r", "console", "--max-failures", "1").code == 2
    _, why = told(hooked)
    assert why.startswith("3 runs were not started: file_dep `nope`")


def test_what_could_not_be_executed_is_a_failure(hooked: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    hooked.edit("matrix", 'file_dep = ["nope"]\nmatrix')
    assert run(hooked, monkeypatch) == 2
    assert told(hooked) == ["failure 0 0 3 2", "finish 0 0"]


def test_one_that_fails_is_told_and_changes_nothing(
    hooked: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hooked.edit(">> told'\non_finish", ">> told; echo said; exit 5'\non_finish")
    hooked.write("code", "0")
    assert run(hooked, monkeypatch) == 0
    hooked.write("code", "7")
    errors._WARNED.clear()
    assert run(hooked, monkeypatch, "run", "-a", "--json") == 1
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith('{"completed": 2, "failed": 1')
    assert err.endswith("said\nWARNING: on_failure: exit code 5\n")
    assert told(hooked) == ["finish 3 0", "failure 2 1 0 1", "finish 2 0"]


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (35, "signal 35")])
def test_one_that_dies_of_a_signal_is_told(
    box: Box, capsys: pytest.CaptureFixture[str], number: int, name: str
) -> None:
    errors._WARNED.clear()
    batch = Batch("b", box.folder / "batchfile.toml", "out", (), on_finish=f"kill -{int(number)} $$")
    hooks.tell_end(batch, Counts(1, 0, 0, 0, 1.0), 0)
    assert capsys.readouterr().err == f"WARNING: on_finish: killed by {name}\n"


def test_one_that_does_not_end_is_killed_with_all_it_has_started(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hooks, "LIMIT", 0.5)
    errors._WARNED.clear()
    batch = Batch(
        "b",
        box.folder / "batchfile.toml",
        "out",
        (),
        on_finish="sleep 1000 & echo $! > pid; wait",
    )
    began = time.monotonic()
    hooks.tell_end(batch, Counts(1, 0, 0, 0, 1.0), 0)
    assert time.monotonic() - began < 30
    assert capsys.readouterr().err == "WARNING: on_finish: killed after 0.5 s\n"
    pid = (box.folder / "pid").read_text().strip()
    until(lambda: not os.path.exists(f"/proc/{pid}"))


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, ["failure 0 0 1 143", "finish 0 0"]), (signal.SIGINT, [])],
)
def test_a_signal_is_told_of_but_for_that_of_the_user(box: Box, number: int, expected: list[str]) -> None:
    box.batchfile(HOOKS + '[runs.a]\ncmd = "touch started; while :; do :; done"\n')
    with box.start() as process:
        until((box.folder / "started").exists)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert told(box) == expected


def test_a_submission_that_is_waited_for(hooked: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(hooked, monkeypatch, "submit", "--engine", "local", "--wait") == 1
    assert told(hooked) == ["failure 2 1 0 1", "finish 2 0 submission"]


def test_a_submission_that_nobody_waits_for(hooked: Box) -> None:
    hooked.ok("submit", "--engine", "local")
    until(
        lambda: (
            "finish" in (hooked.folder / "told").read_text() if (hooked.folder / "told").exists() else False
        )
    )
    assert told(hooked) == ["failure 2 1 0 1", "finish 2 0 submission"]
    hooked.ok("submit", "--engine", "local", "--no-hooks")
    until(lambda: " ended" in hooked.ok("submissions", "--all").splitlines()[-1])
    assert told(hooked) == []


@pytest.mark.slow
def test_a_submission_that_is_cancelled_is_not_told_of(box: Box) -> None:
    box.batchfile(HOOKS + '[runs.a]\ncmd = "touch started; while :; do sleep 0.1; done"\n')
    box.ok("submit", "--engine", "local")
    until((box.folder / "started").exists)
    box.ok("cancel")
    until(lambda: "ended" in box.ok("submissions", "--all"))
    assert told(box) == []


def test_what_a_batchfile_may_say(box: Box) -> None:
    box.batchfile(HEAD + 'on_finish = " "\n' + RUNS)
    assert "batchfile.toml:5:1: batch.on_finish: " in box("plan").refused()
    box.batchfile(HEAD + "on_finish = 'echo {x} ${y}'\n" + RUNS)
    box.write("code", "0")
    assert "3 of 3 runs" in box.ok("plan")


def test_one_that_executes_the_batch_again_is_run_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    again = f"{PROGRAMS / 'pydoit-sc'} run -q; echo again >> told"
    box.batchfile(HEAD + f'on_failure = "{again}"\n[runs.a]\ncmd = "echo a >> log; false"\n')
    assert run(box, monkeypatch) == 1
    assert (told(box), box.executed()) == (["again"], ["a", "a"])
