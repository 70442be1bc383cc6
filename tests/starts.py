"""Programs in processes of their own, most of them forked from a server that has imported what they import.

A program started so has its own process id, signals, working folder, environment, streams and exit code, as any other;
only half a second of CPU for its imports is spared. Where the interpreter itself would start another way (its
variables, the locale), the start is a true one. A test about starts, imports or streams uses `subprocess` itself.
"""

from __future__ import annotations

import functools
import io
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAMS = Path(sys.executable).parent

#: How processes are told about: a process id, then the status that `waitpid` has returned.
NUMBER = struct.Struct("i")
LARGEST = 100_000  # bytes of a request; what is longer is a true start

_WARNINGS = "PYTHONWARNINGS"
_SCRIPT = Path(__file__).with_name("starts_server.py")


class Program(subprocess.Popen[str]):
    """A program that does not outlive a test that fails."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, where)


def start(
    words: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    merged: bool = False,
    terminal: int | None = None,
) -> Program:
    """Start a program of ours, `PROGRAMS / name` or `python -m name`; `merged`: stderr goes where stdout goes.

    With the descriptor of a `terminal` both go there.
    """
    listed = [os.fspath(word) for word in words]
    if _of_interpreter(env) == _of_interpreter(os.environ):
        request = json.dumps({"words": listed, "cwd": os.fspath(cwd), "env": dict(env)}).encode()
        if len(request) <= LARGEST:
            return _Forked(_server(env.get(_WARNINGS, "")), listed, request, merged, terminal)
    return Program(
        listed,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.STDOUT if merged or terminal is not None else subprocess.PIPE,
        text=True,
        errors="surrogateescape",
    )


class _Forked(Program):
    """A program that the server has forked: it is the parent, and tells how the program has ended."""

    def __init__(
        self, server: _Server, words: list[str], request: bytes, merged: bool, terminal: int | None
    ) -> None:
        self.args, self.returncode, self.stdin, self._server = words, None, None, server
        self._told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, stdout = os.pipe() if terminal is None else (-1, os.dup(terminal))
        err, stderr = os.pipe() if terminal is None and not merged else (-1, os.dup(stdout))
        try:
            socket.send_fds(server.requests, [request], [telling.fileno(), stdout, stderr])
        finally:
            for theirs in (telling.detach(), stdout, stderr):
                os.close(theirs)
        self.stdout, self.stderr = (_reader(one) if one >= 0 else None for one in (out, err))
        self.pid = self._number()

    def poll(self) -> int | None:
        """Return the exit code, None while the program runs."""
        return self.returncode if self._ended(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program's end and return its exit code."""
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002
        """Read what the program writes until it ends."""
        assert input is None
        until = None if timeout is None else time.monotonic() + timeout
        written = {stream: bytearray() for stream in (self.stdout, self.stderr) if stream}
        with selectors.DefaultSelector() as selector:
            for stream in written:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(until and max(0, until - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for key, _ in ready:
                    block = os.read(key.fd, 1 << 16)
                    written[key.fileobj] += block  # type: ignore[index]
                    if not block:
                        selector.unregister(key.fileobj)
        self.wait(until and max(0, until - time.monotonic()))
        for stream in written:
            stream.close()
        out, err = (_text(written[stream]) if stream else None for stream in (self.stdout, self.stderr))
        return out, err

    def send_signal(self, sig: int) -> None:
        """Send the program a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _ended(self, timeout: float | None) -> bool:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._told, selectors.EVENT_READ)
                if not selector.select(timeout):
                    return False
            self.returncode = os.waitstatus_to_exitcode(self._number())
            self._told.close()
        return True

    def _number(self) -> int:
        data = self._told.recv(NUMBER.size)
        assert data, self._server.process.communicate()[0]
        return int(NUMBER.unpack(data)[0])


def _reader(descriptor: int) -> io.TextIOWrapper:
    return open(descriptor, encoding="utf-8", errors="surrogateescape")


def _text(data: bytearray) -> str:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape").read()


def _of_interpreter(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that act on the interpreter's start, but for its warnings: each has a server."""
    return {
        name: value
        for name, value in env.items()
        if name.startswith(("PYTHON", "LC_", "LANG", "LD_")) and name != _WARNINGS
    }


@dataclass(frozen=True)
class _Server:
    """The server; it ends when our end of the socket is closed, at the latest with this process."""

    requests: socket.socket
    process: subprocess.Popen[str]


@functools.cache
def _server(warnings: str) -> _Server:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {**os.environ, _WARNINGS: warnings}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, _SCRIPT, str(theirs.fileno())],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # not sought in, as the streams of a program
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[theirs.fileno()],
        )
    return _Server(ours, process)
