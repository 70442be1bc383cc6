"""Starts workers, one after another, each forked from this process, which has imported the program already.

So a worker takes a tenth of a second rather than half of one, and nothing but its own system calls is counted. A line
of JSON on standard input describes a worker; what happens to it is answered in lines of JSON. Each of its threads
reports and waits, before its first step, until a byte on standard input lets it go: that is when it can be traced.

This process is the subreaper of all that it starts, so it knows when the last process of a killed worker has ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from typing import Any

from pydoit_sc.cli import main
from pydoit_sc.linux import adopt_orphans
from pydoit_sc.show import progress
from pydoit_sc.store import folders, replacing
from pydoit_sc.tasks import program
from pydoit_sc.worker import executor
from tests.faults import planted

PATIENCE = 30.0  # seconds in which what a worker has started must be gone after its end
_SOON = 0.2  # seconds that a worker waits for one that is frozen while it replaces a run, in place of 5
_LOADED = (program, progress, executor)  # what the program imports late
_REQUESTS, _REPLIES = 0, 1
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def _say(**message: Any) -> None:
    os.write(_replies, json.dumps(message).encode() + b"\n")


def _line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):  # no byte more: those that follow are for the worker's threads
        byte = os.read(_requests, 1)
        if not byte:
            return b""
        line += byte
    return line


def _hold(*_: object) -> None:
    """Report this thread and wait for leave; called as a new thread's profile function before its first step."""
    sys.setprofile(None)
    if threading.current_thread().name == "heartbeat":
        return  # it touches one file every 15 s, and is not traced
    _say(thread=threading.get_native_id())
    os.read(_requests, 1)


def _become(request: dict[str, Any]) -> int:
    """Be the worker."""
    adopt_orphans(False)
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)  # Yama lets only ancestors trace
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    for fd, path, flags in ((0, os.devnull, os.O_RDONLY), (1, request["output"], os.O_WRONLY | os.O_CREAT)):
        opened = os.open(path, flags | os.O_TRUNC * (fd == 1), 0o644)
        os.dup2(opened, fd)
        os.close(opened)
    os.dup2(1, 2)
    _hold()
    threading.setprofile(_hold)
    return main(request["words"])


def _attend(pid: int) -> None:
    """Report what becomes of a worker until it and all that it has left behind are gone."""
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        _say(stopped=pid)
    _say(ended=os.waitstatus_to_exitcode(status), left=not _all_gone())


def _all_gone() -> bool:
    """Wait for everything that a worker has left behind, and say whether it has ended in time."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.002)
        except ChildProcessError:
            return True
    return False


def serve() -> int:
    """Start one worker for each request."""
    adopt_orphans(True)
    while line := _line():
        if not line.strip():  # leave for a thread whose process was killed before it could take it
            continue
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return _become(request)
        _say(started=pid)
        _attend(pid)
    return 0


if __name__ == "__main__":
    replacing._WAITED = _SOON
    folders.BEAT_EVERY, folders.DEAD_AFTER = 0.2, 2.0  # in place of 15 and 120
    if sys.argv[1]:
        planted.plant(sys.argv[1])
    _requests, _replies = os.dup(_REQUESTS), os.dup(_REPLIES)
    sys.exit(serve())
