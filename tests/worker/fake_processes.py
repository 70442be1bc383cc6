"""Processes and a clock that a test decides about, in place of those of the machine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydoit_sc.worker.descent import ATTEMPT_VARIABLE
from pydoit_sc.worker.process import Exit, Processes
from pydoit_sc.worker.starter import Environment

REAL = 5.0  # seconds of real time to wait for the stager's threads


class Clock:
    """Takes the place of the module `time`: goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000 + self.now


class FakeProcesses(Processes):
    """Each command is `SECONDS CODE [stubborn]`: it lives so long, then exits so; SIGTERM ends it unless stubborn."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.spawned: list[tuple[str, Mapping[str, str], float]] = []  # command, environment, when
        self.sent: list[tuple[float, int, int]] = []  # when, signal, pid
        self.to_come: list[tuple[float, int]] = []  # stop signals of the worker: when, which
        self.lasting: dict[
            int, tuple[float, int, bool]
        ] = {}  # by pid: when it ends, its code, whether it is stubborn
        self.most_at_once = 0
        self.memory: dict[str, list[int]] = {}  # bytes of a command at each look
        self.woken = threading.Event()

    @contextmanager
    def session(self) -> Iterator[None]:
        yield

    def wake(self) -> None:
        self.woken.set()

    def spawn(self, words: tuple[str, ...], env: Environment, attempt: str, stdout: str, stderr: str) -> int:
        cmd = words[-1]
        seconds, code, *how = cmd.split()
        Path(stdout).touch()
        Path(stderr).write_text(f"stderr of {cmd}")
        pid = 100 + len(self.spawned)
        self.spawned.append((cmd, env.whole(), self.clock.now))
        self.lasting[pid] = self.clock.now + float(seconds), int(code), "stubborn" in how
        self.most_at_once = max(self.most_at_once, len(self.lasting))
        assert env.own[ATTEMPT_VARIABLE] == attempt
        return pid

    def wait(self, timeout: float | None) -> None:
        """Go on to whatever comes first: the end of a process, a signal, or the timeout."""
        times = [end for end, _, _ in self.lasting.values()] + [when for when, _ in self.to_come]
        if timeout is not None:
            times.append(self.clock.now + timeout)
        if times:
            self.clock.now = max(self.clock.now, min(times))
            self.woken.wait(0.001)
        else:
            assert self.woken.wait(REAL), "nothing will ever happen"
        self.woken.clear()

    def signals(self) -> list[int]:
        came = [number for when, number in self.to_come if when <= self.clock.now]
        self.to_come = [(when, number) for when, number in self.to_come if when > self.clock.now]
        return came

    def reap(self) -> Iterator[Exit]:
        for pid, (end, code, _) in list(self.lasting.items()):
            if end <= self.clock.now:
                del self.lasting[pid]
                yield Exit(pid, code, 0.5, 1 << 20, self.clock.now)

    def signal(self, number: int, pids: Collection[int] | None = None) -> None:
        for pid in list(self.lasting) if pids is None else pids:
            self.sent.append((self.clock.now, number, pid))
            _, _, stubborn = self.lasting[pid]
            if number == signal.SIGKILL or not stubborn:
                self.lasting[pid] = self.clock.now, 128 + number, stubborn

    def sizes(self, leaders: Collection[int]) -> dict[int, dict[int, int]]:
        commands = {pid: self.spawned[pid - 100][0] for pid in leaders}
        return {pid: {-1: self.memory[command].pop(0)} for pid, command in commands.items()}

    def kill_all(self) -> None:
        self.lasting.clear()
