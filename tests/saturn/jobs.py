"""Jobs of the stand-in, executed on this machine: the start script, then the commands, at `scale` workers."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .recipes import commands_of

_OURS = ("SATURN_BASE_URL", "SATURN_TOKEN", "SATURN_REFRESH_TOKEN")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


class Pod:
    """One worker: a machine of its own at Saturn Cloud, a few processes here."""

    def __init__(self, name: str, resource_id: str, environment: Mapping[str, str], folder: str) -> None:
        self.name, self.resource_id = name, resource_id
        self.status, self.ended, self.codes = "running", False, list[int]()
        self.started_at, self.completed_at = _now(), ""
        self._environment, self._folder = dict(environment), folder
        self._output: list[bytes] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, command: str) -> int:
        """Execute a shell command, keep its output, return its code."""
        if self._stopped:
            return 143
        process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        assert process.stdout
        with process.stdout as output:
            for line in output:
                self._output.append(line)
        return process.wait()

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def end(self, status: str) -> None:
        self.status, self.completed_at, self.ended = status, _now(), True

    def log(self) -> str:
        return b"".join(self._output).decode(errors="replace")

    def summary(self) -> dict[str, Any]:
        """Return what the API says of a live pod."""
        main = {"name": "main", "status": self.status, "logs": self.log()}
        return {
            "name": self.name,
            "status": self.status,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "labels": {"saturncloud.io/resource-id": self.resource_id, "job-name": self.name},
            "init_container_summaries": [],
            "container_summaries": [main],
        }

    def record(self) -> dict[str, Any]:
        """Return what the history says of a pod."""
        return {
            "pod_name": self.name,
            "status": self.status,
            "start_time": self.started_at,
            "end_time": self.completed_at or None,
        }


class Job:
    """One start of a resource."""

    def __init__(self, recipe: dict[str, Any], environment: Mapping[str, str]) -> None:
        self._recipe = recipe
        spec, identity = recipe["spec"], recipe["state"]["id"]
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
        inherited = {key: value for key, value in os.environ.items() if key not in _OURS}
        full = {**inherited, "PATH": path, **environment, **spec.get("environment_variables", {})}
        folder = spec.get("working_directory") or "/tmp"
        self.pods = [
            Pod(f"{spec['name']}-{identity[:6]}-{number}", identity, full, folder)
            for number in range(spec.get("scale", 1))
        ]
        self._commands: queue.SimpleQueue[str] = queue.SimpleQueue()
        for command in commands_of(recipe):
            self._commands.put(command)
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._recipe["state"]["status"] = "running"
        self._thread.start()

    def stop(self) -> None:
        for pod in self.pods:
            pod.stop()
        self._thread.join()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the job has not ended"

    @property
    def status(self) -> str:
        return str(self._recipe["state"]["status"])

    def log(self) -> str:
        return "".join(pod.log() for pod in self.pods)

    def _run(self) -> None:
        # one after the other: here they share a file system, at Saturn Cloud they do not
        script = self._recipe["spec"].get("start_script") or ""
        started = [pod for pod in self.pods if self._prepare(pod, script)]
        threads = [threading.Thread(target=self._work, args=(pod,)) for pod in started]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        failed = any(pod.status == "error" for pod in self.pods)
        self._recipe["state"]["status"] = "error" if failed else "stopped"

    def _prepare(self, pod: Pod, script: str) -> bool:
        code = pod.run(script)
        if code:
            pod.codes.append(code)
            pod.end("error")
        return code == 0

    def _work(self, pod: Pod) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                break
            pod.codes.append(pod.run(command))
        pod.end("error" if any(pod.codes) else "stopped")
