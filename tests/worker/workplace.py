"""Chunks, workers as processes of their own, and what they leave."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydoit_sc.batch import Batch, Run, Settings, Share, Stage
from pydoit_sc.chunks.chunkfile import chunk_text
from pydoit_sc.ledger import Work
from tests.starts import start

PATIENCE = 60.0  # seconds until a test gives up: generous, since other things may run on the machine
QUICK = 20.0  # seconds that "at once" may take on such a machine; far less than what runs are told to sleep


@dataclass
class Workplace:
    """A folder with chunks, their outputs and what the runs tell us beside their outputs."""

    folder: Path
    durable: bool = False
    scratch: str | None = None
    max_failures: int | Share | None = None
    patience: float = 600.0
    url: str = ""  # of the store, where that is not the folder `out`
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        os.mkfifo(self.folder / "events")
        self._events = os.open(self.folder / "events", os.O_RDWR | os.O_NONBLOCK)
        self._heard = b""
        self.env = {
            **os.environ,
            "PYTHONWARNINGS": "error",
            "EVENTS": str(self.folder / "events"),
            "HERE": str(self.folder),
            **self.env,
        }

    def close(self) -> None:
        """Let go of the events."""
        os.close(self._events)

    @property
    def out(self) -> Path:
        """Where the outputs are."""
        return self.folder / "out"

    def chunk(
        self,
        runs: Mapping[str, str],
        settings: Settings | Mapping[str, Settings] | None = None,
        *,
        nprocs: int = 2,
        submission: str = "s1",
        always: bool = False,
    ) -> Path:
        """Write a chunk of these commands by name, with the settings of all or of each."""
        common = settings if isinstance(settings, Settings) else Settings()
        own = settings if isinstance(settings, Mapping) else {}
        listed = [
            Run(name, cmd, name, own.get(name, common), f"{self.folder}/sc-results/{i}/")
            for i, (name, cmd) in enumerate(runs.items())
        ]
        path = self.folder / f"{submission}.json"
        stage = Stage("runs", listed)
        batch = Batch(
            "test",
            path,
            self.url or f"file://{self.out}",
            (stage,),
            durable=self.durable,
            scratch=self.scratch,
            storage_options=self.storage_options,
            patience=self.patience,
            max_failures=self.max_failures,
        )
        items = [
            Work(
                f"runs:{run.name}", run, f"{batch.remote_output_path}/{run.key}", f"fingerprint of {run.name}"
            )
            for run in listed
        ]
        path.write_text(chunk_text(batch, items, nprocs=nprocs, submission=submission, always=always))
        return path

    def start(self, chunk: Path, *options: str, **how: Any) -> subprocess.Popen[str]:
        """Start a worker."""
        words = [sys.executable, "-m", "pydoit_sc", "batch", *options, str(chunk)]
        if not how:
            return start(words, cwd=self.folder, env=self.env, merged=True)
        return subprocess.Popen(
            words,
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **how,
        )

    def work(self, chunk: Path, *options: str, code: int = 0, **how: Any) -> str:
        """Let a worker do a chunk and return what it said."""
        return finish(self.start(chunk, *options, **how), code)

    def hear(self, count: int = 1) -> list[str]:
        """Wait for so many lines that runs write to $EVENTS."""
        until = time.monotonic() + PATIENCE
        while self._heard.count(b"\n") < count:
            left = until - time.monotonic()
            assert left > 0, f"heard only {self._heard!r}"
            if select.select([self._events], [], [], left)[0]:
                self._heard += os.read(self._events, 1 << 16)
        *lines, rest = self._heard.split(b"\n", count)
        self._heard = rest
        return [line.decode() for line in lines]

    def read(self, run: str, file: str = "stdout") -> bytes:
        """Return a file of a run's output."""
        return (self.out / run / file).read_bytes()

    def code(self, run: str) -> int | None:
        """Return a run's status code, None if it is not published."""
        try:
            return int(self.read(run, "status_code"))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def codes(self) -> dict[str, int]:
        """Return the status codes of all that is published."""
        names = os.listdir(self.out) if self.out.exists() else []
        return {name: code for name in names if (code := self.code(name)) is not None}

    def run_json(self, run: str) -> dict[str, Any]:
        """Return a run's provenance."""
        data: dict[str, Any] = json.loads(self.read(run, "run.json"))
        return data

    def lines(self, name: str) -> list[str]:
        """Return the lines of a log that runs write beside the store."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


def finish(worker: subprocess.Popen[str], code: int = 0, seconds: float = PATIENCE) -> str:
    """Wait for a worker's end and return what it said."""
    try:
        said, _ = worker.communicate(timeout=seconds)
    finally:
        worker.kill()
    assert worker.returncode == code, said
    assert "Traceback" not in said
    return said


def await_(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something that cannot be waited for otherwise is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)


def alive(pid: int | str) -> bool:
    """Say whether a process exists and is no zombie."""
    return state(pid) not in ("", "Z")


def state(pid: int | str) -> str:
    """Return the state of a process as /proc has it; "" where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[0]


def marked(mark: str) -> list[int]:
    """Return the processes with this text in their environment."""
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in environment and alive(name):
                pids.append(int(name))
    return pids
