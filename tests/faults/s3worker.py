"""Starts workers for S3, one after another, each forked from this process, which has imported all that they need.

A line of JSON on standard input describes a worker; its pid and then its exit code are answered in lines. The words of
the command are the client's library and, if one is to be planted, a bug.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import suppress
from typing import Any

from pydoit_sc.cli import main
from pydoit_sc.commands import batch  # noqa: F401
from pydoit_sc.linux import adopt_orphans
from pydoit_sc.show import progress  # noqa: F401
from pydoit_sc.store import anyfs, cloud, leases, listing, objects  # noqa: F401
from pydoit_sc.tasks import program  # noqa: F401
from tests.faults import planted


def become(request: dict[str, Any]) -> int:
    """Be the worker; a hasty one has a short lease, so that it need not be waited for a minute: so many times 5 s.

    One that lists does not ask for each run, few as they are.
    """
    adopt_orphans(False)
    if slow := request["hasty"]:
        leases.TTL, leases.RENEW_EVERY, leases.MARGIN, leases.LOOK_EVERY = (
            5.0 * slow,
            1.0 * slow,
            2.0 * slow,
            0.2,
        )
    if request["lists"]:
        objects.FEW, listing._PER_RUN = 0, 1 << 30
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    outputs = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for fd, path, flags in ((0, os.devnull, os.O_RDONLY), (1, request["output"], outputs)):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, fd)
        os.close(opened)
    os.dup2(1, 2)
    return main(request["words"])


def serve() -> int:
    """Start one worker for each request; it has ended when the last run of a killed one has."""
    adopt_orphans(True)
    requests, replies = os.fdopen(os.dup(0)), os.dup(1)
    while line := requests.readline():
        pid = os.fork()
        if pid == 0:
            return become(json.loads(line))
        os.write(replies, b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        with suppress(ChildProcessError):
            while True:
                os.wait()
        os.write(replies, b"%d\n" % os.waitstatus_to_exitcode(status))
    return 0


if __name__ == "__main__":
    importlib.import_module(sys.argv[1])  # but not used before a fork: obstore would hang after it
    if len(sys.argv) > 2:
        planted.plant(sys.argv[2])
    sys.exit(serve())
