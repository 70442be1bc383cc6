"""Workers that are told to stop, killed, started twice or side by side."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydoit_sc.batch import Settings
from pydoit_sc.store.folders import DEAD_AFTER
from pydoit_sc.worker.attempts import GIVEN_UP
from tests.worker.workplace import PATIENCE, QUICK, Workplace, alive, await_, finish, marked

#: A run that says that it is up and dies by SIGTERM alone.
LONG = 'echo "$$ up" > "$EVENTS"; sleep 300'


@pytest.fixture
def mark(place: Workplace) -> str:
    """Return what all processes of the test's workers have in their environment."""
    place.env["MARK"] = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    return place.env["MARK"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_ends_what_executes_and_publishes_what_ended(
    place: Workplace, number: signal.Signals, mark: str
) -> None:
    handler = 'trap \'echo "heard it" >> "$HERE/log"; sleep 0.2; exit 0\' TERM; '
    place.durable = True
    runs = {
        "ended": "echo ended > $EVENTS",
        "failed": "echo ended > $EVENTS; exit 3",
        "patient": handler + "echo up > $EVENTS; sleep 300 & wait",
        "daemon": "setsid sleep 300 & echo up > $EVENTS; wait",
        **{f"later {n}": 'echo later >> "$HERE/log"' for n in range(20)},
    }
    worker = place.start(place.chunk(runs, Settings(retries=1), nprocs=2))
    place.hear(5)  # the failed one is tried again
    worker.send_signal(number)
    start = time.monotonic()
    said = finish(worker, 128 + number)
    assert time.monotonic() - start < QUICK
    assert f"stopped by {number.name}" in said
    assert place.codes() == {"ended": 0, "failed": 3}
    assert place.lines("log") == ["heard it"]
    assert marked(mark) == []
    assert os.listdir(place.out / ".pydoit_sc/attempts") == []
    place.work(place.chunk(dict.fromkeys(runs, "true")))
    assert place.codes() == dict.fromkeys(runs, 0)


def test_the_second_interrupt_kills_at_once(place: Workplace, mark: str) -> None:
    deaf = 'trap "" INT TERM; echo up > "$EVENTS"; while :; do sleep 300; done'
    worker = place.start(place.chunk({"a": deaf, "b": deaf, "c": deaf}, Settings(grace=1000)))
    place.hear(2)
    worker.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.5)
    assert len(marked(mark)) >= 3
    worker.send_signal(signal.SIGINT)
    start = time.monotonic()
    finish(worker, 130)
    assert time.monotonic() - start < QUICK
    assert marked(mark) == []
    assert place.codes() == {}


def test_runs_that_do_not_end_are_killed_after_their_grace(place: Workplace, mark: str) -> None:
    deaf = 'trap "" TERM; echo up > "$EVENTS"; while :; do sleep 300; done'
    worker = place.start(place.chunk({"a": deaf, "b": deaf}, Settings(grace=0.3, retries=5)))
    place.hear(2)
    start = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    finish(worker, 143)
    assert 0.3 <= time.monotonic() - start < QUICK
    assert marked(mark) == []
    assert place.codes() == {}


def test_a_stop_signal_is_heard_when_there_is_always_something_to_do(place: Workplace) -> None:
    runs = {str(n): ":" for n in range(4_000)}
    worker = place.start(place.chunk(runs, nprocs=100), "-q")
    await_(lambda: place.out.exists() and len(os.listdir(place.out)) > 100)
    worker.send_signal(signal.SIGTERM)
    finish(worker, 143)
    assert 100 <= len(os.listdir(place.out)) < 3_000


def test_a_worker_under_nohup_outlives_its_terminal(place: Workplace) -> None:
    chunk = place.chunk({"run": 'echo up > "$EVENTS"; read x < gate'})
    os.mkfifo(place.folder / "gate")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    worker = place.start(chunk, start_new_session=True)  # a true start, which inherits what is ignored
    signal.signal(signal.SIGHUP, before)
    place.hear()
    worker.send_signal(signal.SIGHUP)
    (place.folder / "gate").write_text("go\n")
    finish(worker)
    assert place.codes() == {"run": 0}


@pytest.mark.parametrize("how", ["worker", "group", "guardian first"])
def test_nothing_survives_a_killed_worker(place: Workplace, mark: str, how: str) -> None:
    hidden = 'setsid sh -c "(sleep 300 & sleep 300) & sleep 300" & '
    runs = {"a": hidden + LONG, "b": "trap '' TERM INT HUP; " + LONG, "c": LONG, "d": "echo d > $EVENTS"}
    worker = place.start(place.chunk(runs, nprocs=3), start_new_session=True)
    place.hear(3)
    if how == "guardian first":
        (guardian,) = (pid for pid in children(worker.pid) if b"guardian.py" in command(pid))
        os.kill(guardian, signal.SIGKILL)
        await_(lambda: any(b"guardian.py" in command(pid) for pid in children(worker.pid) if pid != guardian))
    await_(lambda: len(marked(mark)) >= 7)
    (os.killpg if how == "group" else os.kill)(worker.pid, signal.SIGKILL)
    finish(worker, -signal.SIGKILL)
    await_(lambda: not marked(mark), QUICK)
    assert place.codes() == {}
    assert len(os.listdir(place.out / ".pydoit_sc/attempts")) == 1
    place.work(place.chunk(dict.fromkeys(runs, "true")))
    assert place.codes() == dict.fromkeys(runs, 0)
    assert os.listdir(place.out / ".pydoit_sc/attempts") == []


def test_a_run_without_its_environment_does_not_survive_a_killed_worker(place: Workplace) -> None:
    told = 'echo $$ >> "$HERE/pids"; echo up > "$EVENTS"; '
    runs = {
        "shell": told + "exec env -i sleep 300",
        "below": told + "env -i sh -c 'sleep 300 & echo $! >> pids; echo up > events; wait' & wait",
        "other session": told + "env -i setsid -w sh -c 'echo $$ >> pids; echo up > events; exec sleep 300'",
        "ended": "exit 0",
    }
    worker = place.start(place.chunk(runs, nprocs=4))
    place.hear(5)
    await_(lambda: place.code("ended") == 0)
    pids = place.lines("pids")
    assert len(pids) == 5
    await_(lambda: sum(command(int(pid)).startswith(b"sleep") for pid in pids) == 3)
    worker.kill()
    finish(worker, -signal.SIGKILL)
    await_(lambda: not any(map(alive, pids)), QUICK)


ABANDONED = """
import sys
from pydoit_sc.batch import Run, Settings
from pydoit_sc.store import open_store
from pydoit_sc.ledger import Work
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits

root, *commands = sys.argv[1:]
jobs = (Work(str(n), Run(str(n), cmd, str(n), Settings()), "", "") for n, cmd in enumerate(commands))
results = Executor(open_store(root, {}, durable=False), Limits(3)).run(jobs)
print(next(results).work.task)
results.close()
"""


def test_nothing_survives_when_the_results_are_not_wanted_any_more(place: Workplace, mark: str) -> None:
    commands = ["setsid sleep 300 & sleep 300", "trap '' TERM; sleep 300 & wait", "sleep 0.1"]
    done = subprocess.run(
        [sys.executable, "-c", ABANDONED, str(place.out), *commands],
        env=place.env, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout == "2\n"
    assert marked(mark) == []
    assert place.codes() == {"2": 0}


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
def test_killed_at_any_moment_it_executes_only_what_is_missing(place: Workplace, mark: str) -> None:
    place.durable = True
    chance = random.Random(7)
    cmd = (
        'echo {0} >> "$HERE/log"; echo "$PYDOIT_SC_ATTEMPT"; sleep 0.02; '
        'for f in 1 2 3; do echo "$PYDOIT_SC_ATTEMPT" > "$SATURN_RUN_LOCAL_RESULTS_DIR/$f"; done'
    )
    runs = {f"run {n}": cmd.format(n) for n in range(36)}
    chunk = place.chunk(runs, nprocs=3)
    published: set[str] = set()
    kills = 0
    until = time.monotonic() + PATIENCE
    while len(published) < len(runs):
        assert time.monotonic() < until
        log = len(place.lines("log"))
        worker = place.start(chunk)
        # Some die before they have begun, most amid their runs.
        await_(lambda: len(place.lines("log")) > log or worker.poll() is not None)  # noqa: B023
        try:
            worker.wait(chance.uniform(0, 0.15))
        except subprocess.TimeoutExpired:
            kills += 1
        worker.kill()
        worker.communicate()
        executed = {f"run {line}" for line in place.lines("log")[log:]}
        assert not executed & published
        await_(lambda: not marked(mark), QUICK)
        codes = place.codes()
        assert set(codes.values()) <= {
            0,
            GIVEN_UP,
        }  # a run that three workers in a row died of is given up, and tried again
        published = {name for name, code in codes.items() if code == 0}
        for name in published:
            whole(place, name)
    assert kills >= 3
    log = len(place.lines("log"))
    place.work(chunk)
    assert len(place.lines("log")) == log
    place.work(place.chunk({"one more": "true"}))  # which clears what the killed ones left
    assert os.listdir(place.out / ".pydoit_sc/attempts") == []


def whole(place: Workplace, name: str) -> None:
    """Check that a run's output is of one attempt, and complete."""
    attempt = place.run_json(name)["attempt"]
    told = {place.read(name, f"results/{n}").decode().strip() for n in (1, 2, 3)}
    assert told | {place.read(name).decode().strip()} == {attempt}
    assert place.code(name) == 0


def test_two_workers_at_once_on_one_chunk(place: Workplace) -> None:
    cmd = (
        'echo {0} >> "$HERE/log"; echo "$PYDOIT_SC_ATTEMPT"; sleep 0.0{1}; '
        'for f in 1 2 3; do echo "$PYDOIT_SC_ATTEMPT" > "$SATURN_RUN_LOCAL_RESULTS_DIR/$f"; done'
    )
    runs = {f"run {n}": cmd.format(n, n % 4) for n in range(60)}
    chunk = place.chunk(runs, nprocs=2)
    workers = [place.start(chunk), place.start(chunk)]
    for worker in workers:
        finish(worker)
    assert set(place.codes()) == set(runs)
    for name in runs:
        whole(place, name)
    assert {place.run_json(name)["attempt"].split("-")[0] for name in runs}
    assert set(place.lines("log")) == {str(n) for n in range(60)}
    assert os.listdir(place.out / ".pydoit_sc/attempts") == []


def test_a_frozen_worker_that_thaws_changes_nothing(place: Workplace) -> None:
    runs = {name: f'echo "$$ {name}" > "$EVENTS"; read x < gate; echo "$PYDOIT_SC_ATTEMPT"' for name in "ab"}
    os.mkfifo(place.folder / "gate")
    chunk = place.chunk(runs)
    frozen = place.start(chunk)
    place.hear(2)
    frozen.send_signal(signal.SIGSTOP)
    (mark,) = place.out.glob(".pydoit_sc/attempts/*/worker.json")
    long_ago = time.time() - 2 * DEAD_AFTER
    os.utime(mark, (long_ago, long_ago))  # or the second worker would wait for the first one's runs
    second = place.start(chunk)
    place.hear(2)
    gate = os.open(place.folder / "gate", os.O_RDWR)
    os.write(gate, b"1\n2\n3\n4\n")
    finish(second)
    before = {name: place.run_json(name)["attempt"] for name in runs}
    frozen.send_signal(signal.SIGCONT)
    finish(frozen)
    os.close(gate)
    assert {name: place.run_json(name)["attempt"] for name in runs} == before
    assert {name: place.read(name).decode().strip() for name in runs} == before


def test_a_submission_is_executed_once(place: Workplace) -> None:
    runs = {"good": 'echo good >> "$HERE/log"', "bad": 'echo bad >> "$HERE/log"; exit 1'}
    first = place.chunk(runs, submission="first")
    said = place.work(first)
    assert "2 of 2 runs to execute" in said
    place.work(first, "--strict", code=1)
    assert place.lines("log").count("good") == 1
    assert place.lines("log").count("bad") == 2  # a failed one is executed again
    place.work(place.chunk(runs, submission="second"))
    assert place.lines("log").count("good") == 1
    anew = place.chunk(runs, submission="third", always=True)
    for _ in range(2):
        place.work(anew)
    assert place.lines("log").count("good") == 2
    assert place.run_json("good")["submission"] == "third"
    assert len(os.listdir(place.out / ".pydoit_sc/history/good")) == 1
    assert len(os.listdir(place.out / ".pydoit_sc/history/bad")) == 4


def test_a_file_in_the_place_of_a_run_is_that_runs_matter_and_in_that_of_scratch_the_workers(
    place: Workplace,
) -> None:
    place.out.mkdir()
    (place.out / "taken").write_text("mine")
    runs = {"taken": "exit 0", **{f"later {n}": "sleep 0.02" for n in range(50)}}
    said = place.work(place.chunk(runs), code=2)
    assert f"{place.out}/taken" in said
    assert (place.out / "taken").read_text() == "mine"
    assert len(place.codes()) == 50
    place.scratch = str(place.out / "taken")
    assert f"{place.out}/taken" in place.work(place.chunk({"a": "true"}), code=2)
    place.scratch = None
    (place.out / "taken").unlink()
    place.work(place.chunk(runs))
    assert place.codes() == dict.fromkeys(runs, 0)


def test_a_worker_leaves_children_alone_that_are_not_its_runs(place: Workplace) -> None:
    # The shell becomes the worker, with a child that it has from before.
    chunk = place.chunk({"a": "sleep 300 &", "b": "sleep 300 &", "c": "true"})
    script = 'sleep 300 & echo $! > before; exec "$@"'
    worker = subprocess.Popen(
        ["sh", "-c", script, "sh", sys.executable, "-m", "pydoit_sc", "batch", str(chunk)],
        env=place.env, cwd=place.folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert worker.wait(PATIENCE) == 0
    before = int((place.folder / "before").read_text())
    assert alive(before)
    os.kill(before, signal.SIGKILL)
    assert place.codes() == {"a": 0, "b": 0, "c": 0}
