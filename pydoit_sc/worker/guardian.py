"""The guardian of a worker: waits until the worker is gone, then kills what the worker's runs left behind.

It is started as a script of its own, in a session of its own, with a pipe from the worker as standard input. The
pipe ends with the worker, however that dies (`kill -9`, out of memory). Runs are known by a variable in their
environment. A run that escapes even this writes only into its own attempt's folder, which nobody publishes.
"""

import os
import signal
import sys
import time

TRIES = 100  # with a pause of 20 ms: processes may fork while they are being killed


def marked(mark: bytes) -> list[int]:
    """Return the processes that have this `NAME=value` in their environment."""
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        pids.append(int(name))
            except OSError:  # ended meanwhile, or not ours
                continue
    return pids


def main() -> None:
    """Wait for the end of standard input, then kill every process that bears the mark."""
    while os.read(0, 1):
        pass
    quiet = 0  # looks in a row that found nothing: a process between its fork and its exec bears no mark yet
    for _ in range(TRIES):
        pids = marked(os.fsencode(sys.argv[1]))
        quiet = 0 if pids else quiet + 1
        if quiet == 3:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


if __name__ == "__main__":
    main()
