"""The contestants of cost_per_run: how each executes the same runs, and how to see that it did."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from measure import Command, find_program, ours

FILES = ("stdout", "stderr", "results")  # besides status_code


@dataclass(frozen=True)
class Job:
    """So many runs of a command, to be executed in a fresh folder."""

    cmd: str
    runs: int
    nprocs: int
    folder: Path
    floor: Path  # the compiled floor
    peers: Path | None = None  # where the peers from PyPI have a virtual environment each

    @property
    def out(self) -> Path:
        """Where outputs go."""
        return self.folder / "out"

    @property
    def by_shell(self) -> str:
        """What a shell does to leave the files of a run, given its directory in $d."""
        return f'mkdir -p "$d/results"; {self.cmd} > "$d/stdout" 2> "$d/stderr"; echo $? > "$d/status_code"'

    def installed(self, requirement: str, program: str) -> str:
        """Return a program of a peer from PyPI."""
        return str(find_peer(requirement, self.peers) / program)


class MissingOutputError(Exception):
    """A contestant that ended well without having done its work."""


class NotInstalledError(Exception):
    """A contestant that takes no part, since it is not there."""


@dataclass(frozen=True)
class Contestant:
    """One way to execute a job."""

    name: str
    prepare: Callable[[Job], Command]  # writes its input, which is not measured
    verify: Callable[[Job], None]  # raises MissingOutputError
    share: int = 1  # a slow one executes one in so many runs, from which the cost of all is reckoned
    program: str | None = None  # what must be on PATH, or beside this Python
    requirement: str | None = None  # what must be in a virtual environment of its own


def verify_directories(job: Job) -> None:
    """Check that every run has left a directory with all its files and status code 0."""
    for run in range(job.runs):
        folder = job.out / str(run)
        missing = [file for file in FILES if not (folder / file).exists()]
        if missing:
            raise MissingOutputError(f"run {run} has no {', '.join(missing)}")
        code = read_or_none(folder / "status_code")
        if code is None or code.strip() != "0":
            raise MissingOutputError(f"run {run} has the status code {code!r}")


def read_or_none(path: Path) -> str | None:
    """Return the text of a file, or None where there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def verify_nothing(job: Job) -> None:
    """Accept a job that leaves no files by design."""


def write_numbers(job: Job) -> Path:
    """Write a file with the number of every run, one a line."""
    path = job.folder / "numbers"
    path.write_text("".join(f"{run}\n" for run in range(job.runs)), encoding="utf-8")
    return path


def prepare_floor(job: Job, options: Sequence[str] = ()) -> Command:
    """The floor, written in C."""
    return Command(
        [str(job.floor), *options, str(job.runs), str(job.nprocs), str(job.out), job.cmd], job.folder
    )


def prepare_durable_floor(job: Job) -> Command:
    """The floor, with data on disk before the rename."""
    return prepare_floor(job, ["-d"])


def prepare_xargs(job: Job) -> Command:
    """Xargs, and a shell that writes the files."""
    script = f'd={shlex.quote(str(job.out))}/"$0"; {job.by_shell}'
    argv = ["xargs", "-P", str(job.nprocs), "-n", "1", "sh", "-c", script]
    return Command(argv, job.folder, stdin=write_numbers(job))


def prepare_bare_xargs(job: Job) -> Command:
    """Xargs alone."""
    argv = ["xargs", "-P", str(job.nprocs), "-n", "1", "sh", "-c", job.cmd]
    return Command(argv, job.folder, stdin=write_numbers(job))


def prepare_parallel(job: Job) -> Command:
    """GNU parallel, with its log and its tree of outputs."""
    argv = ["parallel", "--will-cite", "-j", str(job.nprocs), "--joblog", "joblog", "--results", str(job.out)]
    env = {"PARALLEL_HOME": str(job.folder / ".parallel"), "PARALLEL_SHELL": "/bin/sh"}
    return Command([*argv, f"{job.cmd} #" + " {}"], job.folder, env, write_numbers(job))


def verify_parallel(job: Job) -> None:
    """Check GNU parallel's log, and its files for every run."""
    with (job.folder / "joblog").open(encoding="utf-8") as log:
        ended = sum(line.split("\t")[6] == "0" for line in log if not line.startswith("Seq"))
    if ended != job.runs:
        raise MissingOutputError(f"the log has {ended} runs with exit code 0 of {job.runs}")
    for run in range(job.runs):
        for file in ("stdout", "stderr"):
            if not (job.out / "1" / str(run) / file).exists():
                raise MissingOutputError(f"run {run} has no {file}")


def write_chunk(job: Job) -> Path:
    """Write a chunk as `sc split` does."""
    url = f"file://{job.out}"
    runs = [
        {
            "remote_output_path": f"{url}/{run}",
            "cmd": job.cmd,
            "local_results_dir": f"{job.folder}/results/{run}/",
            "status_code": None,
            "status": None,
        }
        for run in range(job.runs)
    ]
    path = job.folder / "chunk.json"
    chunk = {"runs": runs, "remote_output_path": f"{url}/", "nprocs": job.nprocs}
    path.write_text(json.dumps(chunk), encoding="utf-8")
    return path


def prepare_sc(job: Job) -> Command:
    """The published worker. It will not start without the address and token of a server, which it never uses."""
    env = {"SATURN_BASE_URL": "http://localhost", "SATURN_TOKEN": "none"}
    return Command([find_program("sc") or "sc", "batch", str(write_chunk(job))], job.folder, env)


def prepare_doit(job: Job) -> Command:
    """Doit itself, with a task per run and the threads of its own runner."""
    dodo = f"""import shlex

def task_each():
    for run in range({job.runs}):
        folder = {str(job.out)!r} + "/" + str(run)
        yield {{
            "name": str(run),
            "actions": ["d=" + shlex.quote(folder) + {"; " + job.by_shell!r}],
            "targets": [folder + "/status_code"],
        }}
"""
    (job.folder / "dodo.py").write_text(dodo, encoding="utf-8")
    return Command([sys.executable, "-m", "doit", "-n", str(job.nprocs), "-P", "thread"], job.folder)


def prepare_joblib(job: Job) -> Command:
    """Joblib with its processes, each of which calls a shell that writes the files."""
    script = f"""import subprocess
from joblib import Parallel, delayed

def execute(run):
    subprocess.run(["sh", "-c", "d=" + {str(job.out)!r} + "/" + str(run) + {"; " + job.by_shell!r}], check=True)

if __name__ == "__main__":
    Parallel({job.nprocs})(delayed(execute)(run) for run in range({job.runs}))
"""
    (job.folder / "executed.py").write_text(script, encoding="utf-8")
    return Command([job.installed(JOBLIB, "python"), "executed.py"], job.folder)


def prepare_hyperqueue(job: Job) -> Command:
    """HyperQueue's server with one worker: stdout and stderr are its own, a shell writes the rest."""
    script = f"""from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

with LocalCluster({str(job.folder / "server")!r}, WorkerConfig({job.nprocs})) as cluster:
    job = Job()
    for run in range({job.runs}):
        d = {str(job.out)!r} + "/" + str(run)
        line = f'mkdir "{{d}}/results"; {job.cmd}; echo $? > "{{d}}/status_code"'
        job.program(["sh", "-c", line], stdout=d + "/stdout", stderr=d + "/stderr")
    client = cluster.client()
    client.wait_for_jobs([client.submit(job)])
"""
    (job.folder / "executed.py").write_text(script, encoding="utf-8")
    return Command([job.installed(HYPERQUEUE, "python"), "executed.py"], job.folder)


def prepare_snakemake(job: Job) -> Command:
    """Snakemake with a rule whose shell writes the files."""
    snakefile = f"""rule all:
    input: expand("out/{{run}}/status_code", run=range({job.runs}))

rule each:
    output: "out/{{run}}/status_code"
    shell: {"d=out/{wildcards.run}; " + job.by_shell!r}
"""
    (job.folder / "Snakefile").write_text(snakefile, encoding="utf-8")
    argv = [job.installed(SNAKEMAKE, "snakemake"), "--cores", str(job.nprocs), "--quiet", "all"]
    return Command(argv, job.folder, {"XDG_CACHE_HOME": str(job.folder / "cache")})


def write_batchfile(job: Job, durable: bool) -> None:
    """Write a plain list of runs."""
    head = f"""[batch]
name = "benchmark"
remote_output_path = "file://out"
nprocs = {job.nprocs}
durable = {str(durable).lower()}
"""
    (job.folder / "batchfile.toml").write_text(
        head + f'\n[[runs]]\ncmd = "{job.cmd}"\n' * job.runs, encoding="utf-8"
    )


def prepare_run(job: Job) -> Command:
    """Our `run`, as it is by default."""
    write_batchfile(job, durable=True)
    return Command([*ours(), "run"], job.folder)


def prepare_pure_run(job: Job) -> Command:
    """Our `run` without its library in C."""
    return replace(prepare_run(job), env={"PYDOIT_SC_PURE": "1"})


def prepare_fast_run(job: Job) -> Command:
    """Our `run`, without the promise to survive a power cut."""
    write_batchfile(job, durable=False)
    return Command([*ours(), "run"], job.folder)


def prepare_batch(job: Job) -> Command:
    """Our worker, on the very chunk that `sc` gets."""
    return Command([*ours(), "batch", str(write_chunk(job))], job.folder)


HYPERQUEUE, JOBLIB, SNAKEMAKE = "hyperqueue==0.27.0", "joblib==1.6.0", "snakemake==9.27.1"

FLOOR = Contestant("floor", prepare_floor, verify_directories)

CONTESTANTS = (
    FLOOR,
    Contestant("floor-durable", prepare_durable_floor, verify_directories),
    Contestant("xargs-bare", prepare_bare_xargs, verify_nothing, program="xargs"),
    Contestant("xargs", prepare_xargs, verify_directories, program="xargs"),
    Contestant("parallel", prepare_parallel, verify_parallel, share=4, program="parallel"),
    Contestant("sc-batch", prepare_sc, verify_directories, share=4, program="sc"),
    Contestant("doit", prepare_doit, verify_directories, share=4),
    Contestant("joblib", prepare_joblib, verify_directories, share=4, requirement=JOBLIB),
    Contestant("hyperqueue", prepare_hyperqueue, verify_directories, requirement=HYPERQUEUE),
    Contestant("snakemake", prepare_snakemake, verify_directories, share=20, requirement=SNAKEMAKE),
    Contestant("run", prepare_run, verify_directories),
    Contestant("run-pure", prepare_pure_run, verify_directories),
    Contestant("run-not-durable", prepare_fast_run, verify_directories),
    Contestant("batch", prepare_batch, verify_directories),
)


def find_peer(requirement: str, peers: Path | None) -> Path:
    """Return the folder of programs of a peer from PyPI; it is installed where it is missing."""
    if peers is None:
        raise NotInstalledError("left out: --peers DIR installs it")
    folder = peers / requirement
    done = folder / "installed"
    if not done.exists():
        print(f"installing {requirement} in {folder}", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, requirement], check=True)
        except subprocess.CalledProcessError as error:
            raise NotInstalledError(f"left out: cannot be installed, {requirement}") from error
        done.touch()
    return folder / "bin"


def check_installed(contestant: Contestant, peers: Path | None) -> None:
    """Install what a contestant needs, if that is on PyPI; raise NotInstalledError where something is missing."""
    if contestant.requirement:
        find_peer(contestant.requirement, peers)
    if contestant.program and find_program(contestant.program) is None:
        raise NotInstalledError(f"left out: there is no program `{contestant.program}`")


def select(names: Iterable[str] | None) -> list[Contestant]:
    """Return the named contestants, or all of them; the floor is always one, as the others are compared with it."""
    wanted = set(names or (each.name for each in CONTESTANTS)) | {FLOOR.name}
    return [each for each in CONTESTANTS if each.name in wanted]


def compile_floor(source: Path, folder: Path) -> Path:
    """Compile the floor into a folder and return the program; raise FileNotFoundError without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler `cc` on PATH: the floor cannot be built")
    program = folder / "floor"
    subprocess.run([compiler, "-std=c11", "-O2", "-pthread", str(source), "-o", str(program)], check=True)
    return program
