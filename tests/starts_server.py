"""The process from which `starts.py` has programs forked: it has imported what they import, and waits for requests."""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import struct
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydoit_sc.batchfile import load
from pydoit_sc.catalogue import COMMANDS

_LATE = (
    "pydoit_sc.store.posix",
    "pydoit_sc.tasks.program",
    "pydoit_sc.tasks.runner",
    "pydoit_sc.tasks.state",
)
_NUMBER = struct.Struct("i")  # as in starts.py, which this process does not import
_LARGEST = 1 << 17
_BATCHFILE = '[batch]\nremote_output_path = "file://out"\n[runs.a]\ncmd = "{x}"\nmatrix = {x = [1]}\n'


def prepare() -> None:
    """Do what is the same in each program: import modules, build models."""
    for name in (*_LATE, *(entry.location.partition(":")[0] for entry in COMMANDS.values())):
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "batchfile.toml")
        path.write_text(_BATCHFILE)
        load(path)
    tempfile.tempdir = None  # each program has its own $TMPDIR
    gc.collect()
    gc.freeze()


def serve(requests: socket.socket) -> dict[str, Any]:
    """Fork a program for each request and tell how each ends; return in the program, with its request."""
    running = dict[
        int, tuple[int, int]
    ]()  # by the descriptor that tells the end: the process, and whom to tell
    while True:
        with selectors.DefaultSelector() as selector:
            for descriptor in (requests.fileno(), *running):
                selector.register(descriptor, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select()}
        for ended in ready & set(running):
            pid, told = running.pop(ended)
            with suppress(BrokenPipeError):  # a test that failed does not listen
                os.write(told, _NUMBER.pack(os.waitpid(pid, 0)[1]))
            os.close(ended)
            os.close(told)
        if requests.fileno() not in ready:
            continue
        text, descriptors, _, _ = socket.recv_fds(requests, _LARGEST, 3)
        if not text:
            os._exit(0)  # the tests have ended
        told, stdout, stderr = descriptors
        pid = os.fork()
        if not pid:
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.closerange(3, max(requests.detach(), *descriptors, *running) + 1)
            request: dict[str, Any] = json.loads(text)
            return request
        os.write(told, _NUMBER.pack(pid))
        os.close(stdout)
        os.close(stderr)
        running[os.pidfd_open(pid)] = pid, told


def become(words: list[str], cwd: str, env: dict[str, str]) -> None:
    """Be the program in this process."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.orig_argv = [sys.executable, *words] if words[0] != sys.executable else words
    if words[1:2] == ["-m"]:
        sys.argv = words[2:]
        del sys.path[0]  # as `python -m pydoit_sc` does
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path[0] = str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    prepare()
    become(**serve(socket.socket(fileno=int(sys.argv[1]))))
