"""A real Slurm on this machine: munged, slurmctld and four slurmd, each node a name and a port of its own."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
MISSING = "Slurm is not installed: apt-get install slurm-wlm munge"
NODES = 4
CPUS = 2
MAX_ARRAY = 5  # tasks; few, so that every larger submission is several arrays
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PATIENCE = 60.0

_CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={dir}/munge.sock,cred_expire=5
SlurmctldPort={port}
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/slurmd-%n.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdLogFile={dir}/slurmd-%n.log
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool/%n
PlugStackConfig={dir}/plugstack.conf
MpiDefault=none
ProctrackType=proctrack/{tracker}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_interval=1
ReturnToService=2
JobRequeue=1
MaxArraySize={max_array}
MinJobAge=30
KillWait=5
CompleteWait=0
InactiveLimit=0
SlurmctldTimeout=6
SlurmdTimeout=6
MessageTimeout=5
TCPTimeout=2
UnkillableStepTimeout=20
BatchStartTimeout=10
PropagateResourceLimits=NONE
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
{nodes}
PartitionName=main Nodes={prefix}[1-{count}] Default=YES State=UP MaxTime=INFINITE DefaultTime=60 OverSubscribe=NO LLN=YES
"""


def installed() -> bool:
    """Say whether all that is needed is there."""
    return all(shutil.which(name, path=_PATH) for name in PROGRAMS)


class Cluster:
    """Slurm, and what a test does to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"t{os.getpid()}n"  # it names cgroups, so no other cluster may have it
        self.env = {"SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, *words: str, check: bool = True) -> str:
        """Run a program of Slurm's and return what it writes."""
        env = {**os.environ, **self.env, "PATH": _PATH}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        assert not check or done.returncode == 0, done
        return done.stdout

    def queue(self, fields: str = "%i|%T|%r") -> list[list[str]]:
        """Return the tasks that have not ended, each one by itself."""
        lines = self.call("squeue", "-h", "-a", "-r", "-o", fields).splitlines()
        return [line.split("|") for line in lines]

    def running(self) -> dict[str, str]:
        """Return the tasks that execute, with their nodes."""
        return {task: node for task, state, node in self.queue("%i|%T|%N") if state == "RUNNING"}

    def empty(self) -> None:
        """End all jobs, and put back what a test has broken."""
        self.call("scancel", "-u", getpass.getuser(), check=False)
        for number in range(1, NODES + 1):
            self.start_node(f"{self.prefix}{number}")
        self.await_nodes()
        until = time.monotonic() + _PATIENCE
        while self.queue():
            assert time.monotonic() < until, self.queue()
            time.sleep(0.1)

    def start_node(self, name: str) -> None:
        """Start a node's daemon, unless it runs."""
        if not _alive(self.folder / f"slurmd-{name}.pid"):
            self.call("slurmd", "-N", name)

    def kill_node(self, name: str) -> None:
        """Let a node's daemon die at once."""
        os.kill(int((self.folder / f"slurmd-{name}.pid").read_text()), signal.SIGKILL)

    def await_nodes(self) -> None:
        """Wait until all nodes are there; a crash can leave them drained or down."""
        until = time.monotonic() + _PATIENCE
        while True:
            states = self.call("sinfo", "-h", "-N", "-o", "%N %T", check=False).split("\n")
            up = [line for line in states if line.endswith(("idle", "mixed", "allocated", "completing"))]
            if len(up) == NODES:
                return
            assert time.monotonic() < until, (states, (self.folder / "slurmctld.log").read_text()[-3000:])
            for line in states:
                name, _, state = line.partition(" ")
                if state.startswith(("down", "drain")):
                    self.call("scontrol", "update", f"nodename={name}", "state=resume", check=False)
            time.sleep(0.1)


@contextmanager
def start_cluster() -> Iterator[Cluster]:
    """Give a cluster, and end it by the process ids that its daemons have written."""
    folder = Path(tempfile.mkdtemp(prefix="pydoit-sc-slurm-", dir="/tmp"))  # short: it holds a socket
    folder.chmod(0o755)
    cluster = Cluster(folder)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    (folder / "plugstack.conf").touch()
    (folder / "cgroup.conf").write_text(
        "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n"
    )
    port = _free_ports(NODES + 1)
    nodes = "\n".join(
        f"NodeName={cluster.prefix}{n} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port + n} CPUs={CPUS} State=UNKNOWN"
        for n in range(1, NODES + 1)
    )
    freezer = os.access("/sys/fs/cgroup/freezer/tasks", os.W_OK)  # the tracker that finds every descendant
    (folder / "slurm.conf").write_text(
        _CONF.format(
            user=getpass.getuser(),
            dir=folder,
            port=port,
            tracker="cgroup" if freezer else "linuxproc",
            max_array=MAX_ARRAY,
            nodes=nodes,
            prefix=cluster.prefix,
            count=NODES,
        )
    )
    try:
        cluster.call(
            "munged", "--force", f"--key-file={key}", f"--socket={folder}/munge.sock", "--num-threads=4",
            f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/seed",
        )  # fmt: skip
        cluster.call("slurmctld")
        for n in range(1, NODES + 1):
            cluster.start_node(f"{cluster.prefix}{n}")
        cluster.await_nodes()
        yield cluster
    finally:
        with suppress(AssertionError, subprocess.TimeoutExpired):
            cluster.call("scancel", "-f", "-s", "KILL", "-u", getpass.getuser(), check=False)
            cluster.call("scancel", "-u", getpass.getuser(), check=False)
        files = [*folder.glob("slurmd-*.pid"), folder / "slurmctld.pid", folder / "munged.pid"]
        for file in files:
            _end(file)
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> int:
    """Return the first of so many ports in a row that are free now."""
    for base in range(17000 + os.getpid() % 1000 * 8, 32000, count):
        with suppress(OSError):
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
    raise AssertionError("no free ports")


def _alive(pid_file: Path) -> bool:
    with suppress(OSError, ValueError):
        stat = Path(f"/proc/{int(pid_file.read_text())}/stat").read_text()
        name, _, rest = stat.partition("(")[2].rpartition(")")
        return rest.split()[0] != "Z" and name in PROGRAMS
    return False


def _end(pid_file: Path) -> None:
    if not _alive(pid_file):
        return
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 10
    while _alive(pid_file):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.02)
