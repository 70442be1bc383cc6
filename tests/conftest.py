"""A project in a folder of its own, and the programs run in it as a user does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pydoit_sc.batch import OURS
from tests.s3 import serve_s3
from tests.starts import PROGRAMS, Program, start

#: What says how wide a terminal is, and what it may show; pytest-xdist sets the first of them for its processes.
for _name in ("COLUMNS", "LINES", "NO_COLOR", "CI"):
    os.environ.pop(_name, None)


# Without it every program that a test starts would compile the whole package: half of the suite's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell without job control starts what is in its background with SIGINT ignored, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup does so with SIGHUP

# What a machine is doing besides is no fault of the code under test. The same commit gets the same examples, so that a change
# is told of its own faults alone; new ones are looked for at night.
settings.register_profile(
    "ours",
    derandomize=not os.environ.get("PYDOIT_SC_NIGHTLY"),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")

DOIT_CFG = "[GLOBAL]\nloader = batchfile\n[COMMAND]\nrun = pydoit_sc.cli:Run\n"

#: The environment of a program whose locale has another encoding than UTF-8: ASCII.
NOT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

HEAD = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
durable = false
"""

#: Three runs that depend on a file, and one that comes after them; each writes its name into `log`.
STAGES = (
    HEAD
    + """
[runs.a]
cmd = "echo a:{x} >> log; cat in"
file_dep = ["in"]
matrix = { x = [1, 2, 3] }

[runs.b]
cmd = "echo b >> log"
after = ["a"]
"""
)

#: Three runs of which the second fails, once told to.
FAILING = (
    HEAD
    + """
[runs.a]
cmd = "echo a:{x} >> log; echo oops >&2; test {x} != 2 || exit $(cat code)"
matrix = { x = [1, 2, 3] }
"""
)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refused(self) -> str:
        """Return the message of a command that told the user what is wrong, and started nothing."""
        assert self.code == 3, self
        assert "Traceback" not in self.err, self.err
        return self.err


class Box:
    """A folder with a project in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYDOIT_SC_", "SATURN_", "CUDA_"))
        }
        self.env["PYTHONWARNINGS"] = "error"
        self._logged = 0

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def batchfile(self, text: str) -> None:
        """Write batchfile.toml."""
        self.write("batchfile.toml", text)

    def edit(self, old: str, new: str, name: str = "batchfile.toml") -> None:
        """Replace what occurs once in a file."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, (old, text)
        self.write(name, text.replace(old, new))

    def start(self, *words: str, program: str = "pydoit-sc", cwd: Path | None = None, **env: str) -> Program:
        """Start a program."""
        return start([PROGRAMS / program, *words], cwd=cwd or self.folder, env={**self.env, **env})

    def __call__(self, *words: str, program: str = "pydoit-sc", cwd: Path | None = None, **env: str) -> Done:
        """Run a program to its end."""
        with self.start(*words, program=program, cwd=cwd, **env) as process:
            out, err = process.communicate(timeout=180)
        return Done(process.returncode, out, err)

    def shell(self, line: str, **env: str) -> Done:
        """Run a line of bash in which `pydoit-sc` and `doit` are known; its exit code is that of the line's end."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env={**self.env, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=180,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, program: str = "pydoit-sc", cwd: Path | None = None, **env: str) -> str:
        """Run a program that must succeed and complain of nothing; return its stdout."""
        done = self(*words, program=program, cwd=cwd, **env)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def executed(self) -> list[str]:
        """Return the runs that have written into `log` since the last call, sorted."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        new, self._logged = lines[self._logged :], len(lines)
        return sorted(new)

    def out(self, path: str) -> str:
        """Return an output."""
        return (self.folder / "out" / path).read_text()

    def tree(self) -> list[str]:
        """Return the outputs' files, ours left out."""
        root = self.folder / "out"
        return sorted(str(path.relative_to(root)) for path in outputs(root))


def outputs(root: Path) -> list[Path]:
    """Return the files below a store, without those of ours: a worker removes its folders while a test looks."""
    tops = [top for top in root.iterdir() if top.name != OURS] if root.exists() else []
    return [path for top in tops for path in (top, *top.rglob("*")) if not path.is_dir()]


@pytest.fixture(scope="session", autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give programs a TMPDIR that goes with the other folders of this session, and what they leave there with it."""
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("TMPDIR"))


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """An empty project."""
    return Box(tmp_path)


@pytest.fixture
def stages(box: Box) -> Box:
    """A project of two stages, with doit.cfg."""
    box.batchfile(STAGES)
    box.write("in", "1")
    box.write("doit.cfg", DOIT_CFG)
    return box


@pytest.fixture
def failing(box: Box) -> Box:
    """A project whose second of three runs fails with 7."""
    box.batchfile(FAILING)
    box.write("code", "7")
    return box


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of an S3 server."""
    with serve_s3() as url:
        yield url


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library in C, compiled."""
    from hatch_build import compile_library

    if (built := compile_library(tmp_path_factory.mktemp("library"))) is None:
        pytest.skip("no C compiler for x86-64")
    return built


@pytest.fixture
def ordinary() -> Iterator[None]:
    """Take the right to ignore permissions from this thread, if root runs the tests."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the low words, then the high ones
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    yield
    sets[0] = effective
    assert libc.capset(header, sets) == 0


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def without(env: Mapping[str, str], name: str) -> dict[str, str]:
    """Return an environment without a variable."""
    return {key: value for key, value in env.items() if key != name}
