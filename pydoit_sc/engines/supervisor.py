"""Start the workers of a submission on this machine, some at once, in their order: `… supervisor FOLDER`.

A worker ends with this process, however that ends: leash.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

from pydoit_sc.engines.leash import on_leash

ORDERS = "local.json"
LOG = "local.log"
ENDED = "local.ended"  # there, for other machines, once all workers have ended


@dataclass(frozen=True, slots=True)
class Orders:
    """What is to be started: lines of shell for each chunk, and which chunks must have ended before."""

    scripts: Sequence[str]
    behind: Sequence[int]  # all with a lower number
    after: Sequence[Sequence[int]]  # and these
    scale: int  # workers at once
    logs: str  # the folder of their logs, `<number of the chunk>.log`
    end: str = ""  # a line of shell for their end


class Supervisor:
    """Keeps `scale` workers going while there are chunks that may start."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._workers: dict[int, tuple[int, subprocess.Popen[bytes]]] = {}  # by pid, with the chunk's number
        self._waiting = list(range(len(orders.scripts)))
        self._ended: set[int] = set()
        self._all_below = 0  # all chunks with a lower number have ended
        self.stopped_by = 0

    def stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Start nothing more, and pass a stop signal on."""
        self.stopped_by = self.stopped_by or number
        for pid in list(self._workers):
            os.kill(pid, number)  # `Popen.send_signal` would reap one that has ended, and `_reap` not find it

    def run(self) -> int:
        """Return the exit code: 0, or 128 + the signal that ended it."""
        os.makedirs(self._orders.logs, exist_ok=True)
        while self._fill() or self._workers:
            self._reap()
        return 128 + self.stopped_by if self.stopped_by else 0

    def _fill(self) -> bool:
        """Start workers until there are enough, or no chunk may start; return whether one was started."""
        started = False
        while len(self._workers) < self._orders.scale and not self.stopped_by:
            number = next(filter(self._may_start, self._waiting), None)
            if number is None:
                break
            self._waiting.remove(number)
            self._start(number, self._orders.scripts[number])
            started = True
        return started

    def _may_start(self, number: int) -> bool:
        return self._orders.behind[number] <= self._all_below and self._ended.issuperset(
            self._orders.after[number]
        )

    def _start(self, number: int, script: str) -> None:
        # A stop signal now would find this worker in no list.
        old = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        try:
            with open(os.path.join(self._orders.logs, f"{number}.log"), "ab") as log:
                process = subprocess.Popen(
                    on_leash("/bin/sh", "-c", script),
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
        number, process = self._workers.pop(info.si_pid)  # before its process id is another's
        code = process.wait()
        self._ended.add(number)
        while self._all_below in self._ended:
            self._all_below += 1
        print(f"chunk {number} ended with {code}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Do what the orders in a submission's folder say."""
    (folder,) = arguments
    with open(os.path.join(folder, ORDERS), encoding="utf-8") as file:
        orders = Orders(**json.load(file))
    supervisor = Supervisor(orders)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    code = supervisor.run()
    with suppress(OSError), open(os.path.join(folder, ENDED), "ab"):
        pass
    if orders.end and not code:
        # The submission has ended: this process is none of it.
        os.execv("/bin/sh", ["/bin/sh", "-c", orders.end])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
