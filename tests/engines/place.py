"""A project in a folder with an awkward name, the program run in it, and what its runs have done."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import outputs
from tests.starts import PROGRAMS, Program, start

PATIENCE = 60.0  # seconds until a test gives up
AWKWARD = 'it\'s a $(place) %a & "more"'


@dataclass
class Place:
    """A project whose runs write into `log`, outside of the store, each time they are executed."""

    folder: Path
    engine: str
    table: str = ""  # the engine's own keys
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).write_text(text)

    def batchfile(self, text: str, **changes: str) -> None:
        """Write the batchfile, with the table of the engine."""
        for old, new in changes.items():
            assert text.count(old) == 1, (old, text)
            text = text.replace(old, new)
        self.write("batchfile.toml", f"{text}\n[{self.engine}]\n{self.table}\n")

    def start(self, *words: str) -> Program:
        """Start the program."""
        env = {**os.environ, **self.env, "PYTHONWARNINGS": "error"}
        return start([PROGRAMS / "pydoit-sc", *words], cwd=self.folder, env=env)

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run the program to its end; return what it has written, of a failed one to stderr as well."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=2 * PATIENCE)
        assert "Traceback" not in err, err
        assert process.returncode == code, (process.returncode, out, err, self.logs())
        return out + err

    def until(self, what: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for what cannot be waited for otherwise."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, ("it did not come about in time", self.log(), self.logs())
            time.sleep(0.05)

    def until_ended(self) -> None:
        """Wait until no job is under way."""
        self.until(lambda: re.search("(?m)^[0-9]{8}-.* ended *$", self("submissions")))

    def log(self) -> list[str]:
        """Return what the runs have written."""
        path = self.folder / "log"
        return path.read_text().split() if path.exists() else []

    def executed(self) -> Counter[str]:
        """Return how often each run was executed."""
        return Counter(self.log())

    def codes(self) -> dict[str, int]:
        """Return the status codes of what is published."""
        return {key: int((folder / "status_code").read_text()) for key, folder in self._outputs("").items()}

    def _outputs(self, below: str) -> dict[str, Path]:
        root = self.folder / "out" / below
        folders = [path.parent for path in outputs(root) if path.name == "status_code"]
        return {str(folder.relative_to(root)): folder for folder in folders}

    def published_once(self) -> None:
        """Check that no completed outcome was replaced by another, nothing is half there, and each is of its run."""
        for folder in self._outputs(".pydoit_sc/history").values():
            assert int((folder / "status_code").read_text()) != 0, folder
        for folder in self._outputs("").values():
            assert (folder / "stdout").exists()
            assert json.loads((folder / "run.json").read_text())["attempt"]
        assert "up to date" in self("plan")

    def logs(self) -> str:
        """Return what workers have written, for messages."""
        folders = (self.folder / "out" / ".pydoit_sc" / "submissions").glob("*")
        files = [file for folder in folders for file in (*folder.glob("*.log"), *folder.glob("logs/*"))]
        return "".join(f"{file.name}: {file.read_text(errors='replace')[-1500:]}\n" for file in files)

    def jobs(self) -> list[str]:
        """Return the jobs of the latest submission."""
        path = max(
            (self.folder / "out/.pydoit_sc/submitted").glob("*.json"), key=lambda file: file.stat().st_mtime
        )
        return list(json.loads(path.read_text())["jobs"])


def arguments() -> str:
    """Return the arguments of all processes."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            found.append(
                Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
    return "\n".join(found)
