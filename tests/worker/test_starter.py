"""A program is started in the same way by the library in C and by posix_spawn, and the library's memory is its child's own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hatch_build import SOURCE
from pydoit_sc.batch import Run, Settings
from pydoit_sc.ledger import Work
from pydoit_sc.native import PURE, load
from pydoit_sc.store import open_store
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.process import Exit, Processes
from pydoit_sc.worker.results import Limits
from pydoit_sc.worker.starter import Environment, QuickStarter, Starter, make_starter

LONG = 60.0
NONE = Environment({}, {})


@pytest.fixture
def quick(library: Path) -> QuickStarter:
    return QuickStarter(load(str(library)))


@pytest.fixture(params=["library", "posix_spawn"])
def starter(request: pytest.FixtureRequest) -> Starter:
    return Starter() if request.param == "posix_spawn" else request.getfixturevalue("quick")


@pytest.fixture
def start(starter: Starter, tmp_path: Path) -> Callable[..., int]:
    """Start a shell with a line to execute, and return its pid."""

    def start(line: str, env: dict[str, str] | None = None, name: str = "out") -> int:
        return starter.start(
            ("/bin/sh", "-c", line), Environment({}, env or {}), str(tmp_path / name), str(tmp_path / "err")
        )

    return start


def code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_program_has_its_words_environment_and_files(start: Callable[..., int], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("before\n")
    env = {"A": "1", "EMPTY": "", "B": "ü\udcff"}
    assert code(start('echo "$A-$EMPTY-$B"; cat; echo err >&2; exit 3', env)) == 3
    assert (tmp_path / "out").read_bytes() == b"before\n1--\xc3\xbc\xff\n"
    assert (tmp_path / "err").read_text() == "err\n"


def test_a_program_is_alone_in_a_session_with_the_default_signals(
    start: Callable[..., int], tmp_path: Path
) -> None:
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        pid = start("cat /proc/self/status; cut -d' ' -f6 /proc/$$/stat")
        assert code(pid) == 0
    finally:
        signal.signal(signal.SIGTERM, old)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    lines = (tmp_path / "out").read_text().splitlines()
    sets = [int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
    assert [numbers & 0x7FFFFFFF for numbers in sets] == [0] * 3  # two above are the C library's own
    assert lines[-1] == str(pid)


def test_what_the_kernel_does_not_take_is_an_error(start: Callable[..., int]) -> None:
    with pytest.raises(OSError) as raised:
        start("true", {"A": "x" * (1 << 18)})
    assert raised.value.errno == errno.E2BIG


@pytest.mark.parametrize(("line", "env"), [("a\0b", {}), ("true", {"A": "1\0B=2"})])
def test_a_zero_byte_is_refused(start: Callable[..., int], line: str, env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="null"):
        start(line, env)


def test_much_text_is_taken(start: Callable[..., int], tmp_path: Path) -> None:
    assert code(start("printenv A | wc -c", {"A": "x" * 120_000, "PATH": os.environ["PATH"]})) == 0
    assert (tmp_path / "out").read_text().split() == ["120001"]


@pytest.mark.parametrize(
    ("program", "out", "expected"),
    [
        ("/no/such/program", "out", errno.ENOENT),
        ("/etc/passwd", "out", errno.EACCES),
        ("/bin/true", "no/out", errno.ENOENT),
    ],
)
def test_a_start_that_has_failed_is_told_once(
    quick: QuickStarter, tmp_path: Path, program: str, out: str, expected: int
) -> None:
    pids = [quick.start((program, "x"), NONE, str(tmp_path / out), str(tmp_path / "err")) for _ in range(3)]
    assert [code(pid) for pid in pids] == [127] * 3
    good = quick.start(("/bin/true",), NONE, str(tmp_path / "out"), str(tmp_path / "err"))
    assert code(good) == 0
    assert [quick.error_of(pid) for pid in (*pids, good)] == [expected] * 3 + [0]
    assert [quick.error_of(pid) for pid in pids] == [0] * 3


def test_what_programs_have_in_common_changes(starter: Starter, tmp_path: Path) -> None:
    first, second = {"A": "1"}, {"A": "2", "C": "3"}
    for number, common in enumerate((first, first, second, {}, first)):
        env = Environment(common, {"B": str(number)})
        pid = starter.start(
            ("/bin/sh", "-c", 'echo "$A$B$C"'), env, str(tmp_path / "out"), str(tmp_path / "err")
        )
        assert code(pid) == 0
    assert (tmp_path / "out").read_text().split() == ["10", "11", "223", "3", "14"]


def test_many_at_once_do_not_share_their_memory(start: Callable[..., int], tmp_path: Path) -> None:
    pids = [start(f'test "$A" = {n}; exit $?', {"A": str(n)}, f"out-{n}") for n in range(100)]
    assert [code(pid) for pid in pids] == [0] * 100
    assert len(list(tmp_path.glob("out-*"))) == 100


def test_a_program_that_settles_is_in_its_session(starter: Starter, start: Callable[..., int]) -> None:
    for _ in range(20):
        pid = start("exec sleep 60")
        starter.settle(LONG)
        assert os.getsid(pid) == pid
        os.kill(pid, signal.SIGKILL)
        assert code(pid) == -signal.SIGKILL


def test_no_handler_of_ours_is_called_in_a_child(start: Callable[..., int]) -> None:
    called: list[int] = []
    old = signal.signal(signal.SIGUSR1, lambda *_: called.append(os.getpid()))
    try:
        pids = [start("exec sleep 60") for _ in range(20)]
        for pid in pids:
            os.kill(pid, signal.SIGUSR1)
        assert {code(pid) for pid in pids} == {-signal.SIGUSR1}
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert called == []


def test_the_library_is_not_used_where_it_is_absent_unfit_or_not_wanted(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PURE, raising=False)
    monkeypatch.setattr("pydoit_sc.native.LIBRARY", str(library))
    assert type(make_starter()) is QuickStarter
    monkeypatch.setenv(PURE, "1")
    assert type(make_starter()) is Starter
    monkeypatch.delenv(PURE)
    source = tmp_path / "quick.c"
    source.write_bytes(SOURCE.read_bytes() + b"/* of another version */")
    with monkeypatch.context() as other:
        other.setattr("pydoit_sc.native.SOURCE", str(source))
        assert type(make_starter()) is Starter
    assert type(make_starter()) is QuickStarter
    for text in (None, b"", b"no library"):
        path = tmp_path / f"of-{text!r}"
        if text is not None:
            path.write_bytes(text)
        monkeypatch.setattr("pydoit_sc.native.LIBRARY", str(path))
        assert type(make_starter()) is Starter


@pytest.fixture
def slow(tmp_path: Path, either: None) -> Iterator[tuple[Processes, int]]:
    """A process that has been started, and gets its program only when somebody opens the other end of its stdout."""
    os.mkfifo(tmp_path / "out")
    processes = Processes("w")
    with processes.session(), subprocess.Popen(["sh", "-c", "sleep 0.2; exec cat out"], cwd=tmp_path):
        out, err = str(tmp_path / "out"), str(tmp_path / "err")
        yield processes, processes.spawn(("/bin/sleep", "60"), NONE, "a-1", out, err)
        processes.kill_all()


def test_a_signal_right_after_a_start_is_not_lost(slow: tuple[Processes, int]) -> None:
    processes, pid = slow
    processes.signal(signal.SIGTERM)
    until, ended = time.monotonic() + 5, list[Exit]()
    while not ended and time.monotonic() < until:
        processes.wait(1)
        ended += processes.reap()
    assert [(exit_.pid, exit_.code, exit_.error) for exit_ in ended] == [(pid, 128 + signal.SIGTERM, None)]


def test_a_child_is_never_as_large_as_its_worker(slow: tuple[Processes, int]) -> None:
    processes, pid = slow
    held = b"x" * (64 << 20)
    (sizes,) = processes.sizes([pid]).values()
    assert pid in sizes and sum(sizes.values()) < len(held)


class Broken(Processes):
    """Processes of which one is to have a program that is not there."""

    def spawn(self, words: tuple[str, ...], *others: object) -> int:
        return super().spawn(("/no/such/shell", "x") if words[-1] == "broken" else words, *others)  # type: ignore[arg-type]


@pytest.fixture(params=["library", "posix_spawn"])
def either(request: pytest.FixtureRequest, library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("pydoit_sc.native.LIBRARY", str(library))
    monkeypatch.delenv(PURE, raising=False)
    if request.param == "posix_spawn":
        monkeypatch.setenv(PURE, "1")
    yield


@pytest.mark.usefixtures("either")
def test_a_worker_whose_start_fails_gives_up_and_publishes_the_others(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "out"), {}, durable=False)
    commands = ["sleep 0.2", "broken", *["true"] * 5]
    works = (Work(f"a:{n}", Run(str(n), cmd, str(n), Settings()), "", "f") for n, cmd in enumerate(commands))
    executor = Executor(store, Limits(2), processes=Broken)
    ended = {result.work.run.key: result.record.code for result in executor.run(works) if result.record}
    assert executor.error.startswith("cannot start a run")
    assert "No such file or directory" in executor.error
    assert ended["0"] == 0
    assert "1" not in ended
    assert not (tmp_path / "out" / "1").exists()
    assert not list((tmp_path / "out" / ".pydoit_sc" / "holds").iterdir())
