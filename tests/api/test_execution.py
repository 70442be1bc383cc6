"""A batch is executed from Python by a process of its own: counts come back, interrupts reach it, nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

import pydoit_sc as sc
from pydoit_sc.api.execution import execute
from tests.conftest import DOIT_CFG, HEAD, STAGES, Box, until


@pytest.fixture
def three(box: Box) -> sc.LoadedBatch:
    """A batch of three runs of which the second fails, and of one that comes after them."""
    box.batchfile(STAGES.replace("cat in", "test {x} != 2"))
    box.write("in", "")
    box.write("doit.cfg", f"{DOIT_CFG}[run]\nreporter = console\n")
    return sc.load(box.folder)


def test_failed_runs_are_counted(three: sc.LoadedBatch, capfd: pytest.CaptureFixture[str]) -> None:
    before = os.getcwd(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD)
    found = three.run()
    assert (found.completed, found.failed, found.skipped, found.not_executed) == (2, 1, 0, 1)
    assert 0 < found.seconds < 60
    assert found.why == ("1 incomplete: waits for a:2 (failed)",)
    assert repr(found).startswith("2 completed, 1 failed, 1 not executed, in 0:")
    assert (os.getcwd(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD)) == before
    assert capfd.readouterr() == ("", "")
    assert three["a:2"].code == 1


def test_what_is_chosen_is_executed_from_any_thread_and_shown_if_asked(
    three: sc.LoadedBatch, box: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[sc.Counts] = []
    chosen = three.select("a", where=["x>1"], limit=1)
    thread = threading.Thread(target=lambda: found.append(chosen.run(progress=True, retries=1, timeout="1m")))
    thread.start()
    thread.join()
    assert [one.failed for one in found] == [1]
    assert box.executed() == ["a:2", "a:2"]
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:2] == [
        "1 of 1 runs to execute: 1 no outcome yet",
        "failed a:2: status code 1",
    ]
    assert shown.err == ""


@pytest.mark.slow
def test_nothing_matches(three: sc.LoadedBatch) -> None:
    found = three.select(status="error").run()
    assert (found.completed, found.failed, found.skipped) == (0, 0, 0)


def test_what_is_refused_is_an_error_in_the_words_of_the_command_line(
    three: sc.LoadedBatch, box: Box
) -> None:
    with pytest.raises(sc.UserError) as caught:
        three.run(timeout="soon")
    assert str(caught.value) in box("--timeout", "soon").err
    assert str(caught.value).startswith("--timeout: ")


def test_what_cannot_be_executed_is_an_error_with_counts(three: sc.LoadedBatch, box: Box) -> None:
    (box.folder / "in").unlink()
    with pytest.raises(
        sc.ExecutionError, match="3 runs were not started: file_dep `in` matches no file"
    ) as caught:
        three.run()
    assert caught.value.counts
    assert (caught.value.counts.failed, caught.value.counts.not_executed) == (0, 4)
    assert isinstance(caught.value, sc.UserError)


def test_too_many_failures_are_no_error(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "false"\nmatrix = { x = { range = [0, 9] } }\n')
    found = sc.load(box.folder).run(max_failures=2, nprocs=1)
    assert (found.failed, found.not_executed) == (2, 7)
    assert found.why == ("stopped after 2 failures (`max_failures`)",)


SCRIPT = """\
import signal, sys
import pydoit_sc as sc
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    sc.load(".").run()
except KeyboardInterrupt:
    print("interrupted")
"""


def _sleeping(box: Box) -> subprocess.Popen[str]:
    box.batchfile(HEAD + '[runs.a]\ncmd = "echo $PPID > pid; echo started > log; sleep 1000"\n')
    script = [sys.executable, "-c", SCRIPT]
    process = subprocess.Popen(script, cwd=box.folder, env=box.env, stdout=subprocess.PIPE, text=True)
    until((box.folder / "log").exists)
    return process


def _is_gone(box: Box) -> bool:
    return not os.path.exists(f"/proc/{(box.folder / 'pid').read_text().strip()}")


def test_an_interrupt_stops_it(box: Box) -> None:
    with _sleeping(box) as process:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("interrupted\n", 0)
    assert _is_gone(box)
    assert box.tree() == []


def test_a_program_that_wants_to_end_ends_the_runs(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "echo $PPID > pid; while :; do :; done"\n')

    def tell(line: str) -> None:
        until((box.folder / "pid").exists)
        raise SystemExit(7)

    with pytest.raises(SystemExit):
        execute(["-f", str(box.folder / "batchfile.toml")], str(box.folder), tell)
    assert _is_gone(box)
    assert box.tree() == []


@pytest.mark.slow
def test_it_ends_with_the_program(box: Box) -> None:
    with _sleeping(box) as process:
        process.kill()
        process.communicate(timeout=60)
        until(lambda: _is_gone(box))
    assert box.tree() == []


def test_a_worker_that_is_stopped_is_an_error(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "kill -TERM $PPID; while :; do :; done"\n')
    with pytest.raises(
        sc.ExecutionError, match="stopped by SIGTERM: what was executing is incomplete"
    ) as caught:
        sc.load(box.folder).run()
    assert caught.value.counts
    assert caught.value.counts.not_executed == 1


@pytest.mark.slow
def test_a_worker_that_is_killed_is_an_error(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "kill -KILL $PPID; sleep 1000"\n')
    with pytest.raises(sc.ExecutionError, match="`pydoit-sc run` ended with -9") as caught:
        sc.load(box.folder).run()
    assert caught.value.counts is None
