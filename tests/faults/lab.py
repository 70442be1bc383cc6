"""A chunk of eight runs of every fate, its store, and what the runs themselves wrote down elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydoit_sc.batch import OURS, Batch, Run, Settings, Stage
from pydoit_sc.chunks.chunkfile import chunk_text
from pydoit_sc.ledger import Work
from tests.faults.power import Disk
from tests.faults.strace import CALLS, MAIN, STAGER, Ended, Launcher, Point, points

#: What every run does: it says in a log of its own that it executes, then writes its name and its attempt's id three
#: times to each of its outputs. $TURN is which worker this is, so that the same run can end in several ways.
SCRIPT = """\
name=$1 kind=$2 log=$3
if [ -s "$log" ]; then again=1; else again=; fi
echo "$PYDOIT_SC_ATTEMPT" >> "$log"
for n in 1 2 3; do
    echo "$name $PYDOIT_SC_ATTEMPT $n"
    echo "$name $PYDOIT_SC_ATTEMPT $n" >&2
    echo "$name $PYDOIT_SC_ATTEMPT $n" >> "$SATURN_RUN_LOCAL_RESULTS_DIR/rows"
done
case $kind:$TURN:$again in
    fails:*) exit 3 ;;
    mended:before:*) exit 4 ;;
    retried:*:) exit 75 ;;
    late:first:*) exit 5 ;;
    early:second:*) exit 6 ;;
esac
"""

FAILS = "fails"  # the one run that always fails
RUNS = {
    "plain": "plain",
    "deep/er": "plain",
    "fails": FAILS,
    "mended": "mended",  # failed before: its outcome is replaced
    "retried": "retried",  # fails once, is retried by the same worker
    "stale": "plain",  # completed before, by another command: its outcome is replaced
    "current": "plain",  # completed before: not touched
    "last": "plain",
}
#: For two workers: which of them fails differs from run to run.
RACED = {"late": "late", "early": "early"}
BEFORE = ("mended", "stale", "current")  # what an earlier worker has executed


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the worker under test works."""

    nprocs: int = 1
    scratch: bool = False  # runs write elsewhere and are copied to the store
    exchange: bool = True  # False: a file system that cannot swap two names, as NFS
    raced: bool = False  # with runs that end differently for a second worker

    def __str__(self) -> str:
        words = [f"nprocs {self.nprocs}"]
        words += ["scratch"] * self.scratch + ["no exchange"] * (not self.exchange)
        return ", ".join(words)

    @property
    def runs(self) -> Mapping[str, str]:
        """The kind of each run by name."""
        return {**RUNS, **RACED} if self.raced else RUNS


class Lab:
    """A place where the same thing can be tried again and again."""

    def __init__(self, folder: Path, scenario: Scenario, bug: str = "", disk: Disk | None = None) -> None:
        self.scenario, self._bug, self._disk, self._folder = scenario, bug, disk, folder
        self.root = (disk.mount if disk else folder) / "store"
        self._logs, self._scratch, self._template = folder / "logs", folder / "scratch", folder / "template"
        (folder / "script").write_text(SCRIPT)
        self._launchers: dict[str, Launcher] = {}
        self._chunk = self._write_chunk("chunk", scenario.runs, "now")
        self.fresh(template=False)
        self._write_chunk("mended", ["mended", "current"], "now")
        self._write_chunk("stale", ["stale"], "then")
        for name in ("mended", "stale"):
            ended = self._launch("first", folder / f"{name}.json", "before")
            assert ended.code == 0, ended.said
        shutil.copytree(self.root, self._template / "store", symlinks=True)
        shutil.copytree(self._logs, self._template / "logs")

    def close(self) -> None:
        """End what was started."""
        for launcher in self._launchers.values():
            launcher.close()

    def fresh(self, *, template: bool = True) -> None:
        """Go back to the beginning: three runs have been executed by an earlier worker."""
        for folder, name in ((self.root, "store"), (self._logs, "logs")):
            shutil.rmtree(folder, ignore_errors=True)
            if template:
                shutil.copytree(self._template / name, folder, symlinks=True)
            else:
                folder.mkdir()
        shutil.rmtree(self._scratch, ignore_errors=True)
        if self._disk:
            self._disk.sync()

    def work(
        self,
        turn: str,
        trace: Mapping[int, Sequence[str]] | None = None,
        stopped: Callable[[int], None] = lambda pid: None,
    ) -> Ended:
        """Let a worker do the chunk; workers of other turns may be at it at the same time."""
        if not self.scenario.exchange:
            trace = {MAIN: (), **(trace or {})}
            trace[MAIN] = _also(trace[MAIN], "renameat2", "error=EINVAL")
        return self._launch(turn, self._chunk, turn, trace, stopped)

    def points(self) -> list[Point]:
        """Return every call by which an undisturbed worker uses the store."""
        self.fresh()
        every = (f"trace={','.join(CALLS)}",)
        ended = self.work("first", {MAIN: every, STAGER: every})
        assert ended.code == 0, ended.said
        found = points(ended, self.root)
        if not self.scenario.exchange:  # strace takes one fault for each kind of call
            found = [point for point in found if point.call != "renameat2"]
        return found

    def cut(self) -> None:
        """Cut the power, if this laboratory can, and start the machine again."""
        if self._disk:
            self._disk.cut()

    def executions(self) -> dict[str, list[str]]:
        """Return the attempts of every run, in the order in which they were started."""
        logs = {name: self._log(name) for name in self.scenario.runs}
        return {name: log.read_text().split() if log.exists() else [] for name, log in logs.items()}

    def age(self) -> None:
        """Let hours pass for what a worker was making when it was killed."""
        attempts = self.root / OURS / "attempts"
        for folder in attempts.glob(".*") if attempts.exists() else ():
            for path in (*folder.iterdir(), folder):  # its mark, too, which may be torn
                os.utime(path, (0, 0))

    def litter(self) -> list[str]:
        """Return what is left of attempts."""
        places = (self.root / OURS / "attempts", self._scratch)
        return [str(path) for place in places if place.exists() for path in place.iterdir()]

    def _log(self, name: str) -> Path:
        return self._logs / name.replace("/", "~")

    def _launch(
        self,
        who: str,
        chunk: Path,
        turn: str,
        trace: Mapping[int, Sequence[str]] | None = None,
        stopped: Callable[[int], None] = lambda pid: None,
    ) -> Ended:
        if who not in self._launchers:
            folder = self._folder / who
            folder.mkdir()
            self._launchers[who] = Launcher(folder, self._bug)
        words = ("batch", str(chunk))
        return self._launchers[who].work(*words, env={"TURN": turn}, trace=trace, stopped=stopped)

    def _write_chunk(self, file: str, names: Sequence[str] | Mapping[str, str], version: str) -> Path:
        once = Settings(retries=1, retry_on=frozenset([75]))
        kinds = self.scenario.runs
        listed = [
            Run(
                name,
                f"set -- {name} {kinds[name]} {self._log(name)}; . {self._folder}/script",
                name,
                once if kinds[name] == "retried" else Settings(),
            )
            for name in names
        ]
        path = self._folder / f"{file}.json"
        stage = Stage("runs", listed)
        batch = Batch(
            "faults",
            path,
            f"file://{self.root}",
            (stage,),
            scratch=str(self._scratch) if self.scenario.scratch else None,
        )
        items = [
            Work(
                f"runs:{run.name}",
                run,
                f"{batch.remote_output_path}/{run.key}",
                f"fingerprint of {run.name} {version}",
            )
            for run in listed
        ]
        path.write_text(chunk_text(batch, items, nprocs=self.scenario.nprocs, submission=f"s-{version}"))
        return path


def _also(expressions: Sequence[str], call: str, fault: str) -> Sequence[str]:
    """Add a fault that comes at every call of a kind to strace's expressions."""
    traced = [word.removeprefix("trace=") for word in expressions if word.startswith("trace=")]
    others = [word for word in expressions if not word.startswith("trace=")]
    return (f"trace={','.join(dict.fromkeys([*traced, call]))}", *others, f"inject={call}:{fault}")


@contextmanager
def opened(lab: Lab) -> Iterator[Lab]:
    """Use a laboratory and close it."""
    try:
        yield lab
    finally:
        lab.close()
