"""Start the workers of a submission on this machine, some at once, group by group: `… supervisor FOLDER`.

A worker ends with this process, however that ends: leash.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

ORDERS = "local.json"
LOG = "local.log"


@dataclass(frozen=True, slots=True)
class Orders:
    """What is to be started: lines of shell for each chunk, group by group."""

    groups: Sequence[Sequence[str]]
    scale: int  # workers at once
    logs: str  # the folder of their logs, `<number of the chunk>.log`


class Supervisor:
    """Keeps `scale` workers going until a group has no more, then goes on to the next group."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._workers: dict[int, tuple[int, subprocess.Popen[bytes]]] = {}  # by pid, with the chunk's number
        self.stopped_by = 0

    def stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Start nothing more, and pass a stop signal on."""
        self.stopped_by = self.stopped_by or number
        for _, process in list(self._workers.values()):
            process.send_signal(number)

    def run(self) -> int:
        """Return the exit code: 0, or 128 + the signal that ended it."""
        os.makedirs(self._orders.logs, exist_ok=True)
        first = 0
        for group in self._orders.groups:
            waiting = iter(enumerate(group, first))
            first += len(group)
            while self._fill(waiting) or self._workers:
                self._reap()
        return 128 + self.stopped_by if self.stopped_by else 0

    def _fill(self, waiting: Iterator[tuple[int, str]]) -> bool:
        """Start workers until there are enough, or no chunk is left; say whether one was started."""
        started = False
        while len(self._workers) < self._orders.scale and not self.stopped_by:
            chunk = next(waiting, None)
            if chunk is None:
                break
            self._start(*chunk)
            started = True
        return started

    def _start(self, number: int, script: str) -> None:
        leash = [sys.executable, "-m", "pydoit_sc.engines.leash", str(os.getpid())]
        # A stop signal now would find this worker in no list.
        old = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        try:
            with open(os.path.join(self._orders.logs, f"{number}.log"), "ab") as log:
                process = subprocess.Popen(
                    [*leash, "/bin/sh", "-c", script],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, old),  # noqa: PLW1509 (one thread)
                )
            self._workers[process.pid] = number, process
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)

    def _reap(self) -> None:
        """Wait for the end of a worker."""
        info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        assert info is not None
        number, process = self._workers[info.si_pid]
        code = process.wait()
        del self._workers[info.si_pid]
        print(f"chunk {number} ended with {code}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Do what the orders in a submission's folder say."""
    (folder,) = arguments
    with open(os.path.join(folder, ORDERS), encoding="utf-8") as file:
        supervisor = Supervisor(Orders(**json.load(file)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
