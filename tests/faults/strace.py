"""Workers under strace: which system calls each of their threads makes, and a fault injected into one of them."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.promise import Violation

PATIENCE = 120.0  # seconds until a worker that says nothing is given up; other things may run on the machine

#: The system calls by which a worker uses files.
READING = ("read", "getdents64", "newfstatat", "lseek", "close")
WRITING = (
    "openat",
    "mkdir",
    "write",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "flock",
    "syncfs",
)
COPYING = ("copy_file_range", "sendfile", "chmod", "utimensat", "symlink")
CALLS = (*READING, *WRITING, *COPYING)

MAIN, STAGER = 0, 1  # a worker's threads, in the order in which they start

_CALL = re.compile(r"(\w+)\(")


def installed() -> bool:
    """Say whether there is an strace that may trace."""
    return (
        bool(shutil.which("strace"))
        and not subprocess.run(
            ["strace", "-o", os.devnull, "true"], capture_output=True, check=False
        ).returncode
    )


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a worker's life: the n-th time that one of its threads makes a system call."""

    thread: int
    call: str
    n: int
    text: str = field(compare=False, default="")  # as strace showed it once

    def inject(self, fault: str) -> Mapping[int, Sequence[str]]:
        """Return what makes strace inject a fault there: `signal=KILL`, `error=EIO`."""
        return {self.thread: (f"trace={self.call}", f"inject={self.call}:{fault}:when={self.n}")}


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a worker."""

    code: int  # -9 if it was killed
    said: str
    left: bool  # processes of its own were still there long after its end
    traces: Mapping[int, Sequence[str]]  # by thread

    def hit(self, point: Point, root: Path) -> bool:
        """Say whether the fault came, and came to a file of the store."""
        calls = [line for line in self.traces.get(point.thread, ()) if line.startswith(f"{point.call}(")]
        return len(calls) >= point.n and str(root) in calls[point.n - 1]


def points(ended: Ended, root: Path) -> list[Point]:
    """Return every call that a traced worker made on a file below `root`."""
    found = []
    for thread, lines in ended.traces.items():
        seen: dict[str, int] = {}
        for line in lines:
            match = _CALL.match(line)
            if match:
                call = match[1]
                seen[call] = seen.get(call, 0) + 1
                if str(root) in line:
                    found.append(Point(thread, call, seen[call], line[:160]))
    return found


class Launcher:
    """A process that starts workers, one at a time; see launcher.py."""

    def __init__(self, folder: Path, bug: str = "") -> None:
        self.folder = folder
        here = Path(__file__).parents[1]
        env = {**os.environ, "PYTHONPATH": str(here.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.launcher", bug],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=env,
        )
        assert self._process.stdin and self._process.stdout
        self._in, self._out, self._rest = self._process.stdin, self._process.stdout, b""

    def close(self) -> None:
        """End the process."""
        self._in.close()
        self._process.wait(PATIENCE)
        self._out.close()

    def work(
        self,
        *words: str,
        env: Mapping[str, str],
        trace: Mapping[int, Sequence[str]] | None = None,
        stopped: Callable[[int], None] = lambda pid: None,
    ) -> Ended:
        """Let a worker do its work and return what became of it.

        `trace` holds strace's expressions (`trace=openat`, `inject=…`) for each thread that is to be traced;
        `stopped` is called with the worker's pid when a signal has stopped it. Raises Violation if it hangs.
        """
        output = self.folder / "said"
        request = {"words": words, "env": dict(env), "folder": str(self.folder), "output": str(output)}
        self._in.write(json.dumps(request).encode() + b"\n")
        threads, worker, hangs = 0, 0, False
        with ended_tracers() as tracers:
            while "ended" not in (message := self._hear()):
                if not message:
                    assert not hangs, "the launcher hangs"
                    hangs = True
                    os.kill(worker, signal.SIGKILL)
                elif "started" in message:
                    worker = message["started"]
                elif "thread" in message:
                    expressions = (trace or {}).get(threads)
                    if expressions:
                        tracers[threads] = _attach(message["thread"], expressions, self._log(threads))
                    threads += 1
                    self._in.write(b"\n")
                elif "stopped" in message:
                    stopped(message["stopped"])
        if hangs:
            raise Violation(f"the worker hangs: {output.read_text(errors='replace')}")
        traces = {thread: self._log(thread).read_text(errors="replace").splitlines() for thread in tracers}
        return Ended(message["ended"], output.read_text(errors="replace"), message["left"], traces)

    def _log(self, thread: int) -> Path:
        return self.folder / f"trace-{thread}"

    def _hear(self) -> dict[str, Any]:
        """Return the next message; an empty one if there is none for long."""
        until = time.monotonic() + PATIENCE
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left < 0 or not select.select([self._out], [], [], left)[0]:
                return {}
            more = os.read(self._out.fileno(), 1 << 16)
            assert more, "the launcher has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def ended_tracers() -> Iterator[dict[int, subprocess.Popen[str]]]:
    """Give a place for tracers and wait for their ends; where what is done meanwhile fails, they are killed."""
    tracers: dict[int, subprocess.Popen[str]] = {}
    try:
        yield tracers
    except BaseException:
        for tracer in tracers.values():
            tracer.kill()
        raise
    finally:
        for tracer in tracers.values():
            tracer.communicate(timeout=PATIENCE)


def _attach(tid: int, expressions: Sequence[str], log: Path) -> subprocess.Popen[str]:
    """Trace one thread and nothing that it starts."""
    options = [word for expression in expressions for word in ("-e", expression)]
    tracer = subprocess.Popen(
        ["strace", "-y", "-s", "64", "-o", str(log), *options, "-p", str(tid)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr
    said = tracer.stderr.readline()
    if "attached" not in said:
        tracer.kill()
        tracer.communicate()
        raise AssertionError(said)
    return tracer
