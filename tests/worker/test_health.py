"""Workers that lack what they need, or time, or bear no more failures: that is theirs, and never a run's outcome."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pydoit_sc.batch import Run, Settings, Share
from pydoit_sc.ledger import Work
from pydoit_sc.store import open_store
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.heldback import HOLD
from pydoit_sc.worker.process import Exit, Processes
from pydoit_sc.worker.results import Limits
from tests.worker.workplace import PATIENCE, QUICK, Workplace, alive, await_, finish, marked, state

COUNTED = 'echo x >> "$HERE/log"; '

# Executes three runs with at most so many file descriptors, for every number from one that is too small to one that
# suffices, each in a process of its own; prints a line for each: what was published, and the worker's error.
SCARCE = """
import json, os, resource, sys
from pydoit_sc.batch import Run, Settings
from pydoit_sc.store import StoreError, open_store
from pydoit_sc.ledger import Work
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits

root = sys.argv[1]
for number in range(3, 22):
    if not os.fork():
        out = f"{root}/{number}"
        store = open_store(out, {}, durable=False)
        executor = Executor(store, Limits(2))
        settings = Settings(timeout=0.5, grace=0.2)
        commands = ["true", "setsid sleep 300 & wait", "true"]
        jobs = (Work(str(n), Run(str(n), cmd, str(n), settings), "", "") for n, cmd in enumerate(commands))
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, 4096))
        try:
            codes = {int(r.work.task): r.record.code for r in executor.run(jobs) if r.record}
        except StoreError as error:
            codes, executor.error = {}, str(error)
        print(json.dumps([number, codes, executor.error]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


@pytest.mark.slow  # twenty workers
def test_a_worker_without_file_descriptors_says_so(place: Workplace) -> None:
    place.env["MARK"] = mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    done = subprocess.run(
        [sys.executable, "-c", SCARCE, str(place.folder)],
        env=place.env, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for number, codes, error in answers:
        files = (place.folder / str(number)).glob("*/status_code")
        published = {file.parent.name: file.read_text() for file in files}
        assert {name: str(code) for name, code in codes.items()} == published
        assert published.items() <= {"0": "0", "1": "143", "2": "0"}.items()
        if len(published) < 3:
            assert "Too many open files" in error
        else:
            assert error == ""
    assert 0 < sum(not error for *_, error in answers) < len(answers)
    assert marked(mark) == []


STRACE = shutil.which("strace")


@pytest.fixture
def broken(place: Workplace) -> Callable[..., str]:
    """Give a worker whose system calls fail as these options of strace say; its runs' own are left alone."""
    if STRACE is None or subprocess.run([STRACE, "-qq", "true"], capture_output=True, check=False).returncode:
        pytest.skip("system calls cannot be made to fail here (needs strace)")

    def work(chunk: Path, *options: str) -> str:
        # Without -f: the main thread alone.
        done = subprocess.run(
            [STRACE, "-qq", "-o", os.devnull, *options, sys.executable, "-m", "pydoit_sc", "batch", str(chunk)],
            env=place.env, cwd=place.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stdout
        assert "Traceback" not in done.stdout
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
        assert len(errors) == 1, done.stdout
        return errors[0]

    return work


CLONE = "clone,clone3,vfork,fork"


@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM"])
@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_a_process_that_cannot_be_started_is_no_failed_run(
    place: Workplace, broken: Callable[..., str], error: str, when: int
) -> None:
    # The first is the guardian; a thread is among the others.
    runs = dict.fromkeys("abcdef", COUNTED + "sleep 0.1")
    chunk = place.chunk(runs, Settings(retries=1))
    said = broken(chunk, "-e", f"trace={CLONE}", "-e", f"inject={CLONE}:error={error}:when={when}+")
    expected = {"EAGAIN": "no more processes (`ulimit -u`", "ENOMEM": "Cannot allocate memory"}[error]
    assert expected in said or "cannot start a thread" in said
    published = place.codes()
    assert set(published.values()) <= {0}
    assert len(published) < 6
    executed = len(place.lines("log"))
    place.work(chunk)
    assert place.codes() == dict.fromkeys(runs, 0)
    assert len(place.lines("log")) == executed + 6 - len(published)


def test_a_run_that_is_to_be_killed_when_processes_cannot_be_listed(
    place: Workplace, broken: Callable[..., str]
) -> None:
    place.env["MARK"] = mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    chunk = place.chunk({"late": "setsid sh -c 'sleep 300 & sleep 300' & sleep 300"}, Settings(timeout=0.3))
    said = broken(chunk, "-P", "/proc", "-e", "trace=getdents64", "-e", "inject=getdents64:error=ENOMEM")
    assert "/proc: Cannot allocate memory" in said
    await_(lambda: not marked(mark), QUICK)
    assert place.codes() == {}


@pytest.mark.parametrize(("call", "when"), [("mkdir", 4), ("rename", 2)])
def test_a_disk_that_fails_ends_the_worker_with_the_path(
    place: Workplace, broken: Callable[..., str], call: str, when: int
) -> None:
    place.work(place.chunk({"before": "true"}))  # the folders are there
    runs = dict.fromkeys("abc", COUNTED + "exit 1")
    chunk = place.chunk(runs, Settings(retries=2), nprocs=1)
    said = broken(chunk, "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={when}+")
    assert "Input/output error" in said
    assert str(place.out) in said
    assert place.codes() == {"before": 0}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_hears_a_stop_signal_before_its_worker_is_no_failure(
    place: Workplace, number: signal.Signals
) -> None:
    # An interactive shell's defaults: SIGINT ends it.
    runs = {
        "dies": COUNTED + 'echo $$ > "$EVENTS"; exec sleep 300',
        "exits": COUNTED + f"trap 'exit {128 + number}' {number.name[3:]}; echo $$ > \"$EVENTS\"; "
        "while :; do sleep 0.05; done",
        "later": COUNTED,
    }
    worker = place.start(place.chunk(runs, Settings(retries=3), nprocs=2))
    pids = [int(line) for line in place.hear(2)]
    for pid in pids:
        os.kill(pid, number)
    await_(lambda: not any(state(pid) for pid in pids))  # the worker has taken note
    worker.send_signal(number)
    said = finish(worker, 128 + number)
    assert "failed runs" not in said
    assert place.codes() == {}
    assert len(place.lines("log")) == 2


def test_what_fails_as_the_stop_signal_comes_is_dropped_and_what_succeeds_is_not(place: Workplace) -> None:
    runs = {
        "fails": 'trap "exit 3" TERM; echo $$ > "$EVENTS"; while :; do sleep 0.05; done',
        "fails with a retry": COUNTED
        + 'trap "exit 3" TERM; echo $$ > "$EVENTS"; while :; do sleep 0.05; done',
        "succeeds": 'trap "exit 0" TERM; echo $$ > "$EVENTS"; while :; do sleep 0.05; done',
    }
    settings = {"fails with a retry": Settings(retries=3)}
    worker = place.start(place.chunk(runs, settings, nprocs=3))
    pids = [int(line) for line in place.hear(3)]
    worker.send_signal(signal.SIGSTOP)
    await_(lambda: state(worker.pid) == "T")
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    await_(lambda: not any(alive(pid) for pid in pids))
    worker.send_signal(signal.SIGTERM)
    worker.send_signal(signal.SIGCONT)
    finish(worker, 143)
    assert place.codes() == {"succeeds": 0}
    assert place.lines("log") == ["x"]


class StoppedAsItReaps(Processes):
    """Hears the stop signal at the last moment before it reaps a run that has failed of it."""

    def reap(self) -> Iterator[Exit]:
        if self._live:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            os.kill(os.getpid(), signal.SIGTERM)
            self._child_ended = True
        yield from super().reap()


def test_a_stop_signal_that_comes_as_a_run_is_reaped_is_known_with_its_end(tmp_path: Path) -> None:
    executor = execute(tmp_path, ["exit 3"], Limits(1), Settings(), StoppedAsItReaps)
    assert (executor.stopped_by, published(tmp_path)) == (signal.SIGTERM, [])


def test_a_run_that_dies_of_a_signal_without_its_worker_fails_a_moment_later(place: Workplace) -> None:
    runs = {
        "once": COUNTED + "kill -TERM $$; sleep 300",
        "again": '[ -e "$HERE/again" ] || { touch "$HERE/again"; kill -INT $$; sleep 300; }',
        "late": "sleep 300",
    }
    settings = {
        "once": Settings(),
        "again": Settings(retries=1),
        "late": Settings(timeout=0.2),
    }
    start = time.monotonic()
    place.work(place.chunk(runs, settings, nprocs=3))
    assert time.monotonic() - start > HOLD
    assert place.codes() == {"once": 143, "again": 0, "late": 143}
    assert place.run_json("again")["retry_codes"] == [130]
    assert place.run_json("once")["seconds"] < HOLD  # the wait is not the run's
    assert place.lines("log") == ["x"]


def execute(
    root: Path,
    commands: list[str],
    limits: Limits,
    settings: Settings,
    processes: type[Processes] = Processes,
) -> Executor:
    """Execute commands in this process, and return what did it."""
    executor = Executor(open_store(str(root), {}, durable=False), limits, processes=processes)
    jobs = (Work(str(n), Run(str(n), cmd, str(n), settings), "", "") for n, cmd in enumerate(commands))
    for _ in executor.run(jobs):
        pass
    return executor


def published(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/status_code"))


def test_no_run_starts_in_less_time_than_the_longest_took(tmp_path: Path) -> None:
    commands = ["sleep 1", "true", "true"]
    too_short = execute(tmp_path / "a", commands, Limits(1, ends_at=time.time() + 1.9), Settings())
    assert too_short.out_of_time
    assert published(tmp_path / "a") == ["0"]
    ample = execute(tmp_path / "b", commands, Limits(1, ends_at=time.time() + 1000), Settings())
    assert not ample.out_of_time
    assert published(tmp_path / "b") == ["0", "1", "2"]
    over = execute(tmp_path / "c", commands, Limits(1, ends_at=time.time() - 1), Settings())
    assert over.out_of_time
    assert (over._attempts.count, published(tmp_path / "c")) == (0, [])
    nothing_left = execute(tmp_path / "d", ["sleep 1"], Limits(1, ends_at=time.time() + 1.5), Settings())
    assert not nothing_left.out_of_time


def test_what_executes_goes_on_past_the_end_and_a_retry_is_left(tmp_path: Path) -> None:
    commands = ["sleep 1; exit 1", "sleep 2", "true"]
    limits = Limits(2, ends_at=time.time() + 1.5)
    executor = execute(tmp_path, commands, limits, Settings(retries=1))
    assert executor.out_of_time
    assert executor.failures.count == 0  # it has another attempt to come
    assert published(tmp_path) == ["1"]


def test_batch_tells_a_scheduler_to_start_it_again(place: Workplace) -> None:
    place.env |= {"SLURM_JOB_END_TIME": str(int(time.time()) - 1)}
    chunk = place.chunk(dict.fromkeys("abc", "true"))
    assert "3 runs are left: the time of this machine is nearly over" in place.work(chunk, code=75)
    place.env["SLURM_JOB_END_TIME"] = str(int(time.time()) + 1000)
    place.work(chunk)
    assert place.codes() == {"a": 0, "b": 0, "c": 0}


@pytest.mark.parametrize(("most", "executed"), [(3, 3), (Share(0.25), 5), (Share(0.001), 1)])
def test_a_chunk_that_fails_too_often_is_given_up(place: Workplace, most: int | Share, executed: int) -> None:
    place.max_failures = most
    chunk = place.chunk({str(n): COUNTED + "exit 1" for n in range(20)}, nprocs=1)
    said = place.work(chunk, code=1)
    failures = f"{executed} failure" + "s" * (executed > 1)
    assert f"{20 - executed} runs are left: stopped after {failures} (`max_failures`)" in said
    assert len(place.lines("log")) == len(place.codes()) == executed


def test_a_chunk_bears_failures_up_to_its_last_run_or_where_it_says_nothing(place: Workplace) -> None:
    place.max_failures = 3
    place.work(place.chunk({"a": "exit 1", "b": "exit 1", "c": "exit 1"}))
    place.max_failures = None
    chunk = place.chunk({str(n): "exit 1" for n in range(9)})
    place.work(chunk)
    data = json.loads(chunk.read_text())
    del data["pydoit_sc"]["max_failures"]  # as it was written before
    chunk.write_text(json.dumps(data))
    place.work(chunk)
    assert len(place.codes()) == 12
    data["pydoit_sc"]["max_failures"] = "many"
    chunk.write_text(json.dumps(data))
    assert "split again" in place.work(chunk, code=3)


def test_nothing_of_ours_is_writable_by_everybody(place: Workplace) -> None:
    os.mkfifo(place.folder / "gate")
    cmd = 'echo "$SATURN_RUN_LOCAL_RESULTS_DIR" > "$EVENTS"; umask > "$HERE/umask"; read x < "$HERE/gate"'
    worker = place.start(place.chunk({"a/b": cmd, "failed": "exit 1"}, nprocs=2), umask=0)
    attempt = Path(place.hear()[0]).parent
    await_((attempt.parents[1] / "running.json").exists)
    loose = [path for path in below(place.out / ".pydoit_sc") if for_all(path)]
    (place.folder / "gate").write_text("go\n")
    finish(worker)
    finish(
        place.start(place.chunk({"failed": "true"}, submission="s2"), umask=0)
    )  # the first goes to the history
    loose += [path for path in below(place.out) if for_all(path)]
    assert [str(path.relative_to(place.out)) for path in loose] == []
    assert int((place.folder / "umask").read_text(), 8) == 0  # a run has its own files as it likes


def below(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def for_all(path: Path) -> bool:
    """Return whether everybody may write; the mode of a link says nothing."""
    return not path.is_symlink() and bool(path.lstat().st_mode & stat.S_IWOTH)


def test_to_wake_a_worker_whose_session_is_over_writes_nowhere(tmp_path: Path) -> None:
    """A thread that waits for a slow store may do so: the pipe's number is another file's by then."""
    processes = Processes("w")
    with processes.session():
        processes.wake()
    with ExitStack() as files:
        for n in range(8):
            files.enter_context((tmp_path / str(n)).open("wb"))
        processes.wake()
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0] * 8


def test_a_close_that_fails_is_told_by_both_ways_to_write(tmp_path: Path) -> None:
    """On NFS it is the close that finds no space."""
    code = (
        "import sys; from pydoit_sc.worker.lastfiles import make_last_files\n"
        "try: make_last_files().write(sys.argv[1], b'0')\n"
        "except OSError as error: print(error.strerror)"
    )
    for pure in ("", "1"):
        probe = tmp_path / f"probe{pure}"
        words = ["strace", "-qq", "-o", "/dev/null", "-P", str(probe), "-e", "trace=close", "-e"]
        env = {**os.environ, "PYDOIT_SC_PURE": pure}
        done = subprocess.run(
            [*words, "inject=close:error=EDQUOT", sys.executable, "-c", code, str(probe)],
            env=env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == "Disk quota exceeded\n"
