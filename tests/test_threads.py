"""Threads that do something beside an event loop."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys

from pydoit_sc.threads import aside

#: As many threads as fit into what the process may map: each has a stack of 64 MiB.
LACKS = """
import threading
from pydoit_sc.threads import aside
threading.stack_size(64 << 20)
end = threading.Event()
try:
    while True:
        aside(end.wait)
except OSError as error:
    print(error)
"""


def test_signals_are_left_to_others() -> None:
    blocked: set[int] = set()
    thread = aside(lambda: blocked.update(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "beside")
    thread.join()
    assert blocked >= signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    assert (thread.name, thread.daemon) == ("beside", True)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTERM, signal.SIGCHLD}


def test_a_system_that_lacks_threads() -> None:
    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    done = subprocess.run(
        [sys.executable, "-c", LACKS],
        preexec_fn=bound,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[Errno 11] cannot start a thread\n"
