"""The guardian of a worker: waits until the worker is gone, then kills what the worker's runs left behind.

It is started as a script of its own, in a session of its own, with a pipe from the worker as standard input. The
pipe ends with the worker, however that dies (`kill -9`, out of memory). Runs are known by a variable in their
environment, and by their sessions, in a table that the worker keeps in shared memory (descriptor 3); to them belongs
all that descends from them. A daemon that has done away with all three, session, environment and parents, escapes;
it writes only into its own attempt's folder, which nobody publishes.
"""

import os
import signal
import sys
import time
from array import array

TRIES = 100  # with a pause of 20 ms: processes may fork while they are being killed
TABLE = 3  # the descriptor of the table of sessions
MOST_SESSIONS = 1 << 14


def sessions() -> set[int]:
    """Return the sessions that the worker had when it died."""
    table = array("i")
    table.frombytes(os.pread(TABLE, MOST_SESSIONS * table.itemsize, 0))
    return set(table) - {0}


def left_behind(mark: bytes, leaders: set[int]) -> set[int]:
    """Return the processes with this `NAME=value` in their environment or of these sessions, and their descendants."""
    found, parents = set(), {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if fields[0] in (b"Z", b"X"):  # killed already
                    continue
                parents[int(name)] = int(fields[1])
                if int(fields[3]) in leaders:
                    found.add(int(name))
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        found.add(int(name))
            except OSError:  # ended meanwhile, or not ours
                continue
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def main() -> None:
    """Wait for the end of standard input, then kill every process that the worker has left behind."""
    while os.read(0, 1):
        pass
    mark, leaders = os.fsencode(sys.argv[1]), sessions()
    quiet = 0  # looks in a row that found nothing: a process between its fork and its exec bears no mark yet
    for _ in range(TRIES):
        pids = left_behind(mark, leaders)
        quiet = 0 if pids else quiet + 1
        if quiet == 3:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        time.sleep(0.02)


if __name__ == "__main__":
    main()
