"""What /proc says of processes."""

from __future__ import annotations

import os
import subprocess
import sys

from pydoit_sc import proc


def test_this_process() -> None:
    stat = proc.read_stat(os.getpid())
    assert stat is not None
    assert (stat.parent, stat.session, stat.ended) == (os.getppid(), os.getsid(0), False)
    assert proc.read_stats()[os.getpid()].started == stat.started


def test_a_name_with_brackets_and_spaces_is_no_field() -> None:
    rename = "open('/proc/self/comm', 'w').write('a) Z 1 (b'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        stat = proc.read_stat(process.pid)
        assert stat is not None
        assert (stat.parent, stat.ended) == (os.getpid(), False)
        process.stdin.close()


def test_a_process_that_has_ended_has_no_start() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        stat = proc.read_stat(process.pid)
        assert stat is not None and stat.ended
        assert proc.started_at(process.pid) == ""
    assert proc.read_stat(process.pid) is None
    assert proc.started_at(process.pid) == ""
    assert proc.started_at(os.getpid()) == proc.started_at("self") != ""
