"""Execute one command and say what it cost: wall time, CPU time of all its processes, peak memory."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """What to execute, and where."""

    argv: Sequence[str]
    folder: Path  # where it is executed; its output goes to the file `log` there
    env: Mapping[str, str] = field(default_factory=dict)  # besides this process's own
    stdin: Path | None = None


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall: float  # seconds
    cpu: float  # seconds, user and system, of every process that it waited for
    peak: float  # MiB resident in the largest of its processes, and never less than what this process has itself


class CommandError(Exception):
    """A command that failed, or could not be started."""


def measure(command: Command, timeout: float = 300) -> Cost:
    """Execute a command; after `timeout` seconds it is killed and counts as failed."""
    log = command.folder / "log"
    with log.open("wb") as out, open(command.stdin or os.devnull, "rb") as stdin:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(
                command.argv,
                cwd=command.folder,
                env={**os.environ, **command.env},
                stdin=stdin,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(str(error)) from error
        killer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == -signal.SIGKILL and wall >= timeout:
        raise CommandError(f"killed after {timeout:.0f} s")
    if process.returncode:
        raise CommandError(f"exit code {process.returncode}: {_last_line(log)}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def find_program(name: str) -> str | None:
    """Return a program installed beside this Python, or else one on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def ours() -> list[str]:
    """Return the words that start pydoit-sc as it is installed for this Python."""
    program = find_program("pydoit-sc")
    return [program] if program else [sys.executable, "-m", "pydoit_sc"]


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder, as Linux names it."""
    mounts = [line.split(" ") for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    real = folder.resolve()
    found = [(len(mount[1]), mount[2]) for mount in mounts if real.is_relative_to(mount[1])]
    return max(found)[1] if found else "unknown"


def machine() -> str:
    """Return a line about this machine."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
