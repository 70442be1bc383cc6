"""The laboratory's chunk on an S3 server, reached through a proxy that breaks requests."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

from pydoit_sc.batch import OURS, Batch, Run, Settings, Stage
from pydoit_sc.chunks.chunkfile import chunk_text
from pydoit_sc.ledger import Work
from pydoit_sc.store.blobs import Blobs, get_all
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import Config
from tests.faults import promise
from tests.faults.lab import BEFORE, FAILS, RACED, RUNS, SCRIPT
from tests.faults.promise import File, State, Violation
from tests.faults.proxy import Fault, Point, Proxy

BUCKET = "faults"
REQUEST = 2  # seconds that a worker's request may take, on a machine that has nothing else to do
PATIENCE = 240.0  # seconds after which a worker hangs
#: The runs of a worker whose every request is spoiled: those of the laboratory of whose fate there is no other.
FEW = ("deep/er", FAILS, "retried", "stale", "current")


@dataclass(frozen=True, slots=True)
class Server:
    """An S3 server that is running."""

    name: str
    address: tuple[str, int]
    key: str = "key"
    secret: str = "secret"

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/none",
            "AWS_SHARED_CREDENTIALS_FILE": "/none",
        }

    def blobs(self, prefix: str) -> Blobs:
        """Reach it without a proxy."""
        config = {
            "endpoint": f"http://{self.address[0]}:{self.address[1]}",
            "access_key_id": self.key,
            "secret_access_key": self.secret,
            "region": "us-east-1",
        }
        return CloudBlobs(Config("s3", BUCKET, prefix, config))


@dataclass(frozen=True, slots=True)
class Scene:
    """How the worker under test works."""

    client: str = "obstore"  # or "s3fs"
    raced: bool = False  # with a second worker, which soon ends the first one's lease
    lists: bool = False  # looks at the whole store, as where runs are many
    patience: float = 3.0  # seconds for which it waits for a store that is away, on such a machine
    bug: str = ""  # planted in it

    @property
    def runs(self) -> Mapping[str, str]:
        """The kind of each run by name."""
        return {**RUNS, **RACED} if self.raced else {name: RUNS[name] for name in FEW}


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a worker."""

    code: int
    said: str
    seconds: float


def slowness() -> int:
    """Return how many times as long as on a machine that has nothing else to do things take now, as the load says."""
    return min(10, 1 + int(os.getloadavg()[0] / len(os.sched_getaffinity(0))))


class Launcher:
    """A process that starts workers, one at a time; see s3worker.py."""

    def __init__(self, *words: str) -> None:
        tests = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.s3worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": str(tests), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout

    def close(self) -> None:
        """End the process."""
        self._in.close()
        self._process.wait(PATIENCE)
        self._out.close()

    def start(self, **request: object) -> int:
        """Start a worker and return its pid."""
        self._in.write(json.dumps(request).encode() + b"\n")
        return self._hear()

    def wait(self) -> int:
        """Return the exit code of the worker."""
        return self._hear()

    def has_news(self, seconds: float) -> bool:
        """Wait so long, at most, for the worker's end."""
        return bool(select.select([self._out], [], [], seconds)[0])

    def _hear(self) -> int:
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._out.fileno(), 1)
            assert byte, "the launcher has ended"
            line += byte
        return int(line)


class Worker:
    """A worker that has been started."""

    def __init__(self, launcher: Launcher, output: Path, pid: int) -> None:
        self.pid, self._launcher, self._output, self._began = pid, launcher, output, time.monotonic()

    def has_ended(self, seconds: float) -> bool:
        """Wait so long, at most, for its end."""
        return self._launcher.has_news(seconds)

    def end(self) -> Ended:
        """Wait for its end; raises Violation where it hangs."""
        hangs = not self.has_ended(PATIENCE)
        if hangs:
            os.kill(self.pid, signal.SIGKILL)
        code, said = self._launcher.wait(), self._output.read_text()
        if hangs:
            raise Violation(f"a worker hangs for {PATIENCE:g} s: {said}")
        return Ended(code, said, time.monotonic() - self._began)


class S3Lab:
    """A place where the same chunk can be tried again and again, each time below a prefix of its own."""

    def __init__(self, folder: Path, server: Server, scene: Scene) -> None:
        self.runs, self._scene = scene.runs, scene
        self._folder, self._server, self._logs = folder, server, folder / "logs"
        self.slow = slowness()  # all times of its workers follow it
        seconds = REQUEST * self.slow
        times = {"connect_timeout": seconds, "read_timeout": seconds, "retries": {"max_attempts": 4}}
        # s3fs serves what obstore has no words for.
        self._options: dict[str, Any] = {
            "config_kwargs": times,
            **({"requester_pays": False} if scene.client == "s3fs" else {}),
        }
        self.proxy = Proxy(server.address)
        self._count = 0
        # The first worker may be frozen while another one works.
        words = [scene.client] + [scene.bug] * bool(scene.bug)
        self._launchers = {"first": Launcher(*words)}
        self._launchers["second"] = Launcher(*words) if scene.raced else self._launchers["first"]
        self._template: dict[str, bytes] = {}
        (folder / "script").write_text(SCRIPT)
        self.fresh()
        before = [name for name in BEFORE if name in self.runs]
        for file, version in (("current", "now"), ("stale", "then")):
            self._write_chunk(
                file, [name for name in before if (name == "stale") is (file == "stale")], version
            )
            ended = self._start(file, "before").end()
            assert ended.code == 0, ended.said
        self._template = {
            path: data
            for path, data in self._objects().items()
            if not path.startswith(f"{OURS}/") or path.startswith(f"{OURS}/index/")
        }
        assert {path.partition("/")[0] for path in self._template} == {OURS, *before}
        self._template_logs = {path.name: path.read_bytes() for path in self._logs.iterdir()}

    def close(self) -> None:
        """End what was started."""
        self.proxy.close()
        for launcher in {*self._launchers.values()}:
            launcher.close()

    def fresh(self) -> None:
        """Begin anew: three runs have been executed by an earlier worker."""
        if self._count:  # moto looks through the whole bucket at each request to list
            self._blobs.delete([blob.path for blob in self._blobs.list("")])
        self._count += 1
        self._prefix = f"{self._folder.name}/{self._count}"
        self._blobs: Blobs = self._server.blobs(self._prefix)
        self._versions: dict[tuple[str, str], bytes] = {}
        for path, data in self._template.items():
            self._blobs.put(path, data)
        shutil.rmtree(self._logs, ignore_errors=True)
        self._logs.mkdir()
        if self._template:
            for name, data in self._template_logs.items():
                (self._logs / name).write_bytes(data)
        self._write_chunk("chunk", self.runs, "now")
        self.arm()

    def arm(
        self,
        point: Point | None = None,
        fault: Fault | Callable[[], None] | None = None,
        *,
        lasting: float = 0.0,
    ) -> None:
        """Have the proxy spoil a request of the next worker."""
        self.proxy.arm(point, fault, root=f"{BUCKET}/{self._prefix}/", lasting=lasting)

    def start(self, turn: str, *, direct: bool = False) -> Worker:
        """Start a worker; `direct`: past the proxy."""
        return self._start("chunk", turn, direct=direct)

    def work(self, turn: str, *, direct: bool = False) -> Ended:
        """Let a worker do the chunk."""
        return self.start(turn, direct=direct).end()

    def look(self) -> State:
        """Return what the store holds of each run that has a `status_code`."""
        found: dict[str, dict[str, File]] = {name: {} for name in self.runs}
        for path, data in self._objects().items():
            name = next((name for name in self.runs if path.startswith(f"{name}/")), None)
            if name is not None:
                found[name][path[len(name) + 1 :]] = File(data, 0, 0)
        return {name: files for name, files in found.items() if "status_code" in files}

    def executions(self) -> dict[str, list[str]]:
        """Return the attempts of every run, in the order in which they were started."""
        logs = {name: self._log(name) for name in self.runs}
        return {name: log.read_text().split() if log.exists() else [] for name, log in logs.items()}

    def _objects(self) -> dict[str, bytes]:
        """Return what is in the store; a version that has been read before is not read again."""
        there = {blob.path: blob.etag for blob in self._blobs.list("")}
        new = [path for path, etag in there.items() if (path, etag) not in self._versions]
        for path, data in get_all(self._blobs, new).items():
            self._versions[path, there[path]] = data
        return {path: self._versions[path, etag] for path, etag in there.items()}

    def _log(self, name: str) -> Path:
        return self._logs / name.replace("/", "~")

    def _start(self, chunk: str, turn: str, *, direct: bool = False) -> Worker:
        address = self._server.address
        endpoint = f"http://{address[0]}:{address[1]}" if direct else self.proxy.url
        more = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "TURN": turn}
        who = "first" if turn == "first" else "second"
        output = self._folder / f"said-{who}"
        pid = self._launchers[who].start(
            words=["batch", f"{chunk}.json"],
            env={**self._server.environment, **more},
            folder=str(self._folder),
            output=str(output),
            hasty=self.slow if self._scene.raced else 0,
            lists=self._scene.lists,
        )
        return Worker(self._launchers[who], output, pid)

    def _write_chunk(self, file: str, names: Iterable[str], version: str) -> None:
        once = Settings(retries=1, retry_on=frozenset([75]))
        listed = [
            Run(
                name,
                f"set -- {name} {self.runs[name]} {self._log(name)}; . {self._folder}/script",
                name,
                once if self.runs[name] == "retried" else Settings(),
            )
            for name in names
        ]
        path = self._folder / f"{file}.json"
        stage = Stage("runs", listed)
        batch = Batch(
            "faults",
            path,
            f"s3://{BUCKET}/{self._prefix}",
            (stage,),
            patience=self._scene.patience * self.slow,
            storage_options=self._options,
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
        path.write_text(chunk_text(batch, items, nprocs=2, submission=f"s-{version}"))


def check_manifests(state: State) -> None:
    """Each `run.json` describes the objects beside it."""
    for name, files in state.items():
        said: Mapping[str, Any] = json.loads(files["run.json"].data).get("files", {})
        there = {
            file: {"size": len(found.data), "md5": md5(found.data, usedforsecurity=False).hexdigest()}
            for file, found in files.items()
            if file not in ("run.json", "status_code")
        }
        if dict(said) != there:
            raise Violation(f"{name}: run.json describes {said}, there is {there}")


def check_said(ended: Ended, *, codes: Iterable[int] = (0, 2)) -> None:
    """A worker ended in one of these ways; where it could not do all, it says why in one line."""
    if ended.code not in codes or "Traceback" in ended.said:
        raise Violation(f"the worker ended with {ended.code}: {ended.said}")
    if ended.code == 2:
        errors = [line for line in ended.said.splitlines() if line.startswith("ERROR: ")]
        if len(errors) != 1:
            raise Violation(f"the worker ended with 2, and said {ended.said!r}")


def check_and_finish(lab: S3Lab, *, must_be_finished: bool, late: Iterable[str] = ()) -> None:
    """After a fault: check what there is, let a worker do the rest, and check that it did just that."""
    runs, allowed = lab.runs, set(late)
    before, executions = lab.look(), lab.executions()
    promise.check_whole(before)
    check_manifests(before)
    promise.check_last(before, executions, allowed)
    if must_be_finished:
        promise.check_finished(before, runs, [FAILS])
    lab.arm()
    check_said(lab.work("again", direct=True), codes=[0])
    after, more = lab.look(), lab.executions()
    promise.check_whole(after)
    check_manifests(after)
    promise.check_finished(after, runs, [FAILS])
    promise.check_unchanged(before, after)
    promise.check_executed(before, executions, more, "retried")
    promise.check_last(after, more, allowed)
