"""Workers at thousands of runs, one of which is killed every few seconds and started again."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydoit_sc.batch import Batch, Run, Settings, Stage
from pydoit_sc.chunks.chunkfile import chunk_text
from pydoit_sc.ledger import Work
from pydoit_sc.store.posix import PosixStore
from tests.faults import promise

WORKERS = 4
PATIENCE = 900.0  # seconds for all of it
_PROGRESS = 4  # runs

#: The log is the run's own: each execution adds its attempt, and says whether the run was published before.
_CMD = """\
set -- {name} {log} {output}
code=; if [ -e "$3/status_code" ]; then read code < "$3/status_code"; fi
if [ "$code" = 0 ]; then echo published >> "$2"; fi
echo "$PYDOIT_SC_ATTEMPT" >> "$2"
for n in 1 2 3; do
    echo "$1 $PYDOIT_SC_ATTEMPT $n"
    echo "$1 $PYDOIT_SC_ATTEMPT $n" >&2
    echo "$1 $PYDOIT_SC_ATTEMPT $n" >> "$SATURN_RUN_LOCAL_RESULTS_DIR/rows"
done
"""


@dataclass(slots=True)
class Swarm:
    """Four workers, each with a chunk of its own, on one store."""

    folder: Path
    runs: int
    killed: int = 0
    _begun: dict[Path, int] = field(
        default_factory=dict
    )  # runs of a chunk that had begun when its worker was started
    _workers: dict[Path, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Where the store is."""
        return self.folder / "store"

    def work(self, kill_every: float) -> None:
        """Execute everything, killing a worker every so many seconds, one after the other."""
        (self.folder / "logs").mkdir()
        chunks = [self._chunk(number) for number in range(WORKERS)]
        victims = itertools.cycle(chunks)
        try:
            for chunk in chunks:
                self._start(chunk)
            until, next_kill = time.monotonic() + PATIENCE, time.monotonic() + kill_every
            while any(worker.poll() is None for worker in self._workers.values()):
                assert time.monotonic() < until, "the workers hang"
                time.sleep(0.02)
                if time.monotonic() > next_kill:
                    next_kill += kill_every
                    self._kill(next(victims))
        finally:
            for worker in self._workers.values():
                worker.kill()
                worker.wait()
        for chunk, worker in self._workers.items():
            assert worker.returncode == 0, chunk.with_suffix(".said").read_text()

    def check(self) -> None:
        """Check the promise for every run."""
        names = list(self._names())
        state = promise.look(self.root, names)
        logs = {name: (self.folder / "logs" / name).read_text().split() for name in names}
        promise.check_whole(state)
        promise.check_finished(state, names, [])
        promise.check_last(state, logs)
        again = [name for name, attempts in logs.items() if "published" in attempts]
        if again:
            raise promise.Violation(f"executed after their publication: {again}")
        promise.check_clean(self._litter())

    def _litter(self) -> list[str]:
        """Return what is left of attempts when a further worker has looked at them, some time later."""
        attempts = self.root / ".pydoit_sc" / "attempts"
        for name in os.listdir(attempts):  # of a worker that was killed while it made its folder
            os.utime(attempts / name, (0, 0))
        with PosixStore(str(self.root)).workspace("last", None):
            pass
        return os.listdir(attempts)

    def executions(self) -> int:
        """Return how often runs were executed."""
        return sum(len((self.folder / "logs" / name).read_text().split()) for name in self._names())

    def _kill(self, chunk: Path) -> None:
        """Kill the worker of a chunk that has got on: three that die of the same run in a row give it up."""
        worker = self._workers[chunk]
        if worker.poll() is None and self._count(chunk) > self._begun[chunk] + _PROGRESS:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            self.killed += 1
            self._start(chunk)

    def _count(self, chunk: Path) -> int:
        """Return how many runs of a chunk have begun."""
        number = int(chunk.stem.rpartition("-")[2])
        names = os.listdir(self.folder / "logs")
        return sum(int(name.rpartition("-")[2]) % WORKERS == number for name in names)

    def _start(self, chunk: Path) -> None:
        self._begun[chunk] = self._count(chunk)
        with open(chunk.with_suffix(".said"), "ab") as said:
            self._workers[chunk] = subprocess.Popen(
                [sys.executable, "-m", "pydoit_sc", "batch", "--quiet", str(chunk)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def _names(self) -> Iterator[str]:
        return (f"run-{number}" for number in range(self.runs))

    def _chunk(self, number: int) -> Path:
        path = self.folder / f"chunk-{number}.json"
        runs = [
            Run(name, self._cmd(name), name, Settings())
            for name in itertools.islice(self._names(), number, None, WORKERS)
        ]
        stage = Stage("runs", runs)
        batch = Batch("swarm", path, f"file://{self.root}", (stage,))
        items = [
            Work(
                f"runs:{run.name}",
                run,
                f"{batch.remote_output_path}/{run.key}",
                f"fingerprint of {run.name} now",
            )
            for run in runs
        ]
        path.write_text(chunk_text(batch, items, nprocs=2, submission="s"))
        return path

    def _cmd(self, name: str) -> str:
        return _CMD.format(name=name, log=self.folder / "logs" / name, output=self.root / name)
