"""The engine `dask` on a real cluster: two Dask workers, each a process with a nanny that starts it anew."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pydoit_sc.engines import dask_cluster, dask_task
from pydoit_sc.engines.base import EngineError, State
from pydoit_sc.engines.dask import LOG, Dask, TaskGraph, connected, make_graph, make_tasks
from pydoit_sc.engines.dask_access import FILE as ACCESS
from pydoit_sc.engines.dask_access import Access, read_access, remove_access, write_access
from tests.engines.handed import Yard, alive, processes_with, submission_of

pytestmark = pytest.mark.slow

pytest.importorskip("distributed", reason="distributed is not installed: pip install 'pydoit-sc[dask]'")

MONTHS = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
batch_size = 5
durable = false

[runs.month]
name = "{month.start:%Y-%m}"
cmd = "echo {month.start:%Y-%m} >> log; test {month.start:%m} != 06 || exit 3"
matrix = { month = { from = 2012-01-01, to = 2013-12-31, every = "1 month" } }
"""

#: The second of each chunk's runs waits until it is let go; each tells its worker's process id.
HELD = """\
[batch]
remote_output_path = "file://out"
nprocs = 1
batch_size = 3
durable = false
grace = "20 s"

[runs.a]
cmd = "x={x}; echo $x:$PPID >> log; test $((x % 3)) != 1 || until [ -e go ]; do sleep 0.02; done"
matrix = { x = { range = [0, 6] } }
"""

ORDERED = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
batch_size = 2
durable = false

[runs.a]
cmd = "sleep 0.2; echo a >> log"
matrix = { x = { range = [0, 6] } }

[runs.b]
cmd = "echo b >> log"
after = ["a"]
matrix = { x = { range = [0, 4] } }
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster that is there."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=50,
    ) as cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A folder with a batch, and the engine."""
    return Yard(tmp_path, Dask())


def test_a_backfill_with_failing_runs(yard: Yard, address: str) -> None:
    submission = yard.submission(MONTHS, "dask", {"address": address})
    jobs = yard.hand_in(submission)
    assert len(jobs) == len(set(jobs)) == 5
    yard.await_end(submission, jobs)
    months = [f"{year}-{month:02}" for year in (2012, 2013) for month in range(1, 13)]
    assert sorted(yard.log()) == months
    assert yard.codes() == {f"month/{name}": 3 * name.endswith("-06") for name in months}


@pytest.mark.parametrize("where", ["there", "ours"])
def test_a_dask_worker_is_killed_in_the_middle_of_a_chunk(yard: Yard, address: str, where: str) -> None:
    table = {"address": address} if where == "there" else {"cluster": "local"}
    submission = yard.submission(HELD, "dask", table, scale=2)
    jobs = yard.hand_in(submission)
    yard.await_lines(4)
    yard.await_(lambda: yard.codes() == {"a/0": 0, "a/3": 0})
    worker = yard.worker_of("1")
    os.kill(parent(worker), signal.SIGKILL)
    yard.await_(lambda: not alive(worker))  # by itself
    yard.await_(lambda: yard.starts()["1"] == 2)  # elsewhere
    assert State.RUNNING in yard.states(submission, jobs)
    (yard.folder / "go").touch()
    yard.await_end(submission, jobs)
    assert yard.codes() == {f"a/{n}": 0 for n in range(6)}
    assert yard.starts() == {"0": 1, "1": 2, "2": 1, "3": 1, "4": 1, "5": 1}
    assert not yard.history()


def test_a_pydoit_sc_worker_is_killed_in_the_middle_of_a_chunk(yard: Yard, address: str) -> None:
    submission = yard.submission(HELD, "dask", {"address": address})
    jobs = yard.hand_in(submission)
    yard.await_lines(4)
    yard.await_(lambda: yard.codes() == {"a/0": 0, "a/3": 0})
    os.kill(yard.worker_of("4"), signal.SIGKILL)
    yard.await_(lambda: yard.starts()["4"] == 2)
    (yard.folder / "go").touch()
    yard.await_end(submission, jobs)
    assert yard.codes() == {f"a/{n}": 0 for n in range(6)}
    assert yard.starts() == {"0": 1, "1": 1, "2": 1, "3": 1, "4": 2, "5": 1}
    assert not yard.history()


@pytest.mark.parametrize("where", ["there", "ours"])
def test_cancelled_in_the_middle(yard: Yard, address: str, where: str) -> None:
    table = {"address": address} if where == "there" else {"cluster": "local"}
    told = HELD.replace("echo $x", "trap 'sleep 1; echo told >> log; exit' TERM; echo $x")
    submission = yard.submission(told, "dask", table, scale=1)  # so that the second chunk waits
    jobs = yard.hand_in(submission)
    yard.await_lines(2)
    yard.await_(lambda: yard.codes() == {"a/0": 0})
    yard.cancel(submission, jobs)
    assert set(yard.states(submission, jobs)) == {State.ENDED}
    yard.await_(lambda: not alive(yard.worker_of("1")))
    yard.cancel(submission, jobs)  # no error
    assert yard.codes() == {"a/0": 0}
    assert yard.log()[2:] == ["told"]  # it had its time to end, and nothing else was started
    if where == "ours":
        yard.await_(lambda: not processes_with(submission.folder))
        assert set(yard.states(submission, jobs)) == {State.ENDED}
    (yard.folder / "go").touch()
    again = submission_of(submission.batch, "dask", {"address": address})
    yard.await_end(again, yard.hand_in(again))
    assert yard.codes() == {f"a/{n}": 0 for n in range(6)}
    assert yard.starts() == {"0": 1, "1": 2, "2": 1, "3": 1, "4": 1, "5": 1, "told": 1}


@pytest.mark.parametrize("where", ["there", "ours"])
def test_a_stage_comes_after_another(yard: Yard, address: str, where: str) -> None:
    table = {"address": address} if where == "there" else {"cluster": "local"}
    submission = yard.submission(ORDERED, "dask", table, scale=2)
    jobs = yard.hand_in(submission)
    assert len(jobs) == 5
    yard.await_end(submission, jobs)
    assert yard.log() == ["a"] * 6 + ["b"] * 4
    assert set(yard.codes().values()) == {0}
    if where == "ours":
        yard.await_(lambda: not processes_with(submission.folder))
        assert "Traceback" not in Path(submission.folder, LOG).read_text()


def test_two_submissions_at_once(yard: Yard, address: str) -> None:
    slow = MONTHS.replace("echo", "sleep 0.05; echo")
    first = yard.submission(slow, "dask", {"address": address})
    second = submission_of(first.batch, "dask", {"address": address})
    jobs = [yard.hand_in(first), yard.hand_in(second)]
    assert len({*jobs[0], *jobs[1]}) == 10
    yard.await_end(first, jobs[0])
    yard.await_end(second, jobs[1])
    codes = yard.codes()
    assert len(codes) == 24
    assert Counter(codes.values()) == {0: 22, 3: 2}
    assert {path.split("/")[1] for path in yard.history()} <= {
        "2012-06",
        "2013-06",
    }  # failed runs were tried again


def test_no_more_than_scale_at_once(yard: Yard, address: str) -> None:
    alone = MONTHS.replace("echo", "mkdir alone || echo clash >> log; sleep 0.03; rmdir alone; echo")
    submission = yard.submission(
        alone.replace("nprocs = 2", "nprocs = 1"), "dask", {"address": address}, scale=1
    )
    yard.await_end(submission, yard.hand_in(submission))
    assert "clash" not in yard.log()
    assert len(yard.log()) == 24


def test_what_is_fetched_comes_first(yard: Yard, address: str) -> None:
    there = yard.folder / "it's there"
    setup = f'mkdir -p "{there}" && cd "{there}" || exit 1\n'
    submission = yard.submission(MONTHS, "dask", {"address": address}, setup=setup)
    yard.await_end(submission, yard.hand_in(submission))
    assert len((there / "log").read_text().splitlines()) == 24


def test_a_folder_that_is_not_there_ends_the_chunk(yard: Yard, address: str) -> None:
    submission = yard.submission(MONTHS, "dask", {"address": address})
    gone = submission.batch._replace(path=yard.folder / "nowhere" / "batchfile.toml")
    yard.await_end(submission, yard.hand_in(replace(submission, batch=gone)))
    assert yard.codes() == {}


def test_resources_of_dask_workers(yard: Yard, address: str) -> None:
    submission = yard.submission(MONTHS, "dask", {"address": address, "resources": {"nobody-has-this": 1}})
    jobs = yard.hand_in(submission)
    assert set(yard.states(submission, jobs)) == {State.QUEUED}
    yard.cancel(submission, jobs)
    assert set(yard.states(submission, jobs)) == {State.ENDED}
    assert yard.log() == []


def test_many_waiting_chunks_are_cancelled(yard: Yard, address: str) -> None:
    table = {"address": address, "resources": {"nobody-has-this": 1}}
    submission = yard.submission(
        MONTHS.replace("1 month", "1 day")
        .replace("batch_size = 5", "batch_size = 1")
        .replace("%m} != 06", "%d} != 06")
        .replace("2012-01-01", "2010-01-01")
        .replace('%Y-%m}"\ncmd', '%Y-%m-%d}"\ncmd'),
        "dask",
        table,
        scale=1,
    )
    jobs = yard.hand_in(submission)
    assert len(jobs) > 1400  # more than Python's recursion takes, each waiting for the one before
    yard.cancel(submission, jobs)
    assert set(yard.states(submission, jobs)) == {State.ENDED}


def test_the_time_of_a_machine_is_too_short(yard: Yard, address: str) -> None:
    """The exit code of a worker whose machine ends before the chunk does: Dask gets the chunk back."""
    script = f"cd {yard.folder}; echo x >> log; test $(wc -l < log) = 2 || exit 75"
    with connected(address) as client:
        assert client.submit(dask_task.execute, script, "short", [], key="short").result(60) == 0
    assert len(yard.log()) == 2


def test_the_end_of_a_dask_worker_that_is_told_to_end(yard: Yard, address: str) -> None:
    submission = yard.submission(HELD, "dask", {"address": address})
    jobs = yard.hand_in(submission)
    yard.await_lines(4)
    yard.await_(lambda: yard.codes() == {"a/0": 0, "a/3": 0})
    os.kill(parent(yard.worker_of("1")), signal.SIGTERM)
    yard.await_(lambda: not alive(yard.worker_of("1")))
    yard.await_(lambda: yard.starts()["1"] == 2)
    (yard.folder / "go").touch()
    yard.await_end(submission, jobs)
    assert yard.codes() == {f"a/{n}": 0 for n in range(6)}
    assert not yard.history()


def test_no_other_user_has_a_way_into_a_cluster_of_ours(yard: Yard) -> None:
    """What reaches a port of Dask without encryption is executed there; workers import from their folders."""
    submission = yard.submission(HELD, "dask", {"cluster": "local"}, scale=2)
    jobs = yard.hand_in(submission)
    try:
        access = read_access(submission.folder)
        assert access is not None and access.address.startswith("tls://127.0.0.1:")
        assert Path(submission.folder, ACCESS).stat().st_mode & 0o777 == 0o600
        with pytest.raises(EngineError, match="no Dask scheduler answers"), connected(access.address):
            pass
        with connected(access.address, access) as client:
            found = client.run(lambda dask_worker: (dask_worker.local_directory, dask_worker.nanny))
        assert len(found) == 2
        for address, (folder, nanny) in found.items():
            assert address.startswith("tls://") and nanny.startswith("tls://")
            private = Path(folder).parents[1]
            assert private.name.startswith("pydoit-sc-") and private.stat().st_mode & 0o777 == 0o700
        for pid in processes_with(submission.folder):
            for name in ("cmdline", "environ"):
                assert b"PRIVATE KEY" not in Path(f"/proc/{pid}/{name}").read_bytes()
    finally:
        yard.cancel(submission, jobs)
    yard.await_(lambda: not processes_with(submission.folder))
    assert not Path(submission.folder, ACCESS).exists() and not private.exists()


def test_the_commands(yard: Yard) -> None:
    (yard.folder / "batchfile.toml").write_text(f'{MONTHS}[dask]\ncluster = "local"\n')
    done = program(yard, "submit", "--wait")
    assert done.returncode == 1
    assert "submitted" in done.stdout and "24 runs in 5 chunks" in done.stdout
    assert Counter(yard.codes().values()) == {0: 22, 3: 2}
    (submission,) = (yard.folder / "out" / ".pydoit_sc" / "submissions").iterdir()
    assert "5 completed" in (submission / "logs" / "0.log").read_text()
    assert "Traceback" not in (submission / LOG).read_text()
    held = HELD.replace("file://out", "file://held")
    (yard.folder / "batchfile.toml").write_text(f'{held}[dask]\ncluster = "local"\n')
    assert program(yard, "submit").returncode == 0
    yard.await_(lambda: any(line.startswith("1:") for line in yard.log()))
    assert "dask" in program(yard, "submissions").stdout
    assert "under way" in program(yard, "submit").stderr
    assert program(yard, "cancel").returncode == 0
    yard.await_(lambda: not alive(yard.worker_of("1")))
    (yard.folder / "go").touch()
    assert program(yard, "submit", "--wait").returncode == 0


def program(yard: Yard, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `pydoit-sc` in the yard."""
    command = [sys.executable, "-m", "pydoit_sc", *words]
    return subprocess.run(command, cwd=yard.folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_cluster_is_kept_until_the_last_chunk_has_ended(yard: Yard, address: str) -> None:
    """Also one that was cancelled: a queue would kill its Dask worker in the middle of the runs' grace."""
    script = f"cd {yard.folder}; trap 'sleep 2; echo told >> log; exit' TERM; echo x >> log; while :; do sleep 0.05; done"
    with connected(address) as client:
        future = client.submit(dask_task.execute, script, "last", [], key="last")
        yard.await_lines(1)
        client.cancel([future], force=True)
        dask_cluster.await_end(None, client, [future], TaskGraph([], 1))
        assert yard.log() == ["x", "told"]


def test_a_scheduler_without_pydoit_sc(yard: Yard) -> None:
    """It cannot take the tasks: that is said at once, and nothing is left of them."""
    code = (
        "import sys; sys.modules['pydoit_sc'] = None\n"
        "from distributed.cli.dask_scheduler import main\n"
        f"main(['--host', '127.0.0.1', '--port', '0', '--no-dashboard', '--scheduler-file', {str(yard.folder / 's')!r}])"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as scheduler:
        try:
            yard.await_(lambda: (yard.folder / "s").exists() and (yard.folder / "s").read_text())
            address = json.loads((yard.folder / "s").read_text())["address"]
            with pytest.raises(
                EngineError, match=r"the Dask scheduler refuses the tasks; .*: Error during .*different env"
            ):
                yard.hand_in(yard.submission(MONTHS, "dask", {"address": address}))
        finally:
            scheduler.terminate()


def test_of_a_scheduler_that_ends_while_it_is_asked_dask_writes_nothing(address: str) -> None:
    """A submission asks for the earlier ones before it loads Dask, and a cluster of ours may be about to end then."""
    code = (
        "import logging\n"
        "from pydoit_sc.engines.dask import _asking\n"
        f"with _asking({address!r}):\n"
        "    print([logging.getLogger(f'distributed.{of}').isEnabledFor(logging.ERROR) for of in ('batched', 'client')])\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[False, False]\n"


def test_nobody_listens(yard: Yard) -> None:
    submission = yard.submission(MONTHS, "dask", {"address": "tcp://127.0.0.1:9"})
    with pytest.raises(EngineError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9: .*refused"):
        yard.hand_in(submission)
    with pytest.raises(EngineError, match="no Dask scheduler"):
        yard.states(submission, [f"tcp://127.0.0.1:9#pydoit-sc-{submission.id}-0"])
    assert yard.states(submission, [f"own#pydoit-sc-{submission.id}-0"]) == [State.ENDED]


def test_a_submission_to_a_scheduler_that_is_gone_can_be_called_ended(yard: Yard, address: str) -> None:
    (yard.folder / "batchfile.toml").write_text(f'{HELD}[dask]\naddress = "{address}"\n')
    id_ = program(yard, "submit").stdout.split()[1]
    yard.await_lines(2)
    for table, why in {
        '[dask]\naddress = "tcp://127.0.0.1:9"\n': f'it is at "{address}", which [dask] does not name',
        "": "batchfile.toml has no table [dask], ",
    }.items():
        (yard.folder / "batchfile.toml").write_text(f"{HELD}{table}")
        refused = [program(yard, *words).stderr for words in (["submit", "--engine", "local"], ["cancel"])]
        assert all(why in text and f" {id_}` marks it as ended" in text for text in refused)
    assert program(yard, "cancel", "--gone", id_).stdout == f"{id_} (dask) counts as ended\n"
    (yard.folder / "go").touch()
    yard.await_(lambda: len(yard.codes()) == 6)


def test_what_cannot_be_asked_about_from_here_is_not_called_ended(yard: Yard) -> None:
    """Its machine is another one, or the batchfile has named another scheduler then."""
    submission = yard.submission(MONTHS, "dask", {"cluster": "local"})
    there, ours = (f"{where}#pydoit-sc-{submission.id}-0" for where in ("tcp://old:8786", "own"))
    assert yard.states(submission, [there, ours, "own#x"]) == [State.UNKNOWN, State.ENDED, State.ENDED]
    with pytest.raises(EngineError, match=r'it is at "tcp://old:8786", which \[dask\] does not name'):
        yard.cancel(submission, [there])
    access = Access(address="tcp://127.0.0.1:9", host="elsewhere", pid=1, started="1")
    write_access(submission.folder, access)
    assert yard.states(submission, [ours]) == [State.UNKNOWN]
    with pytest.raises(EngineError, match="a process of elsewhere, and only that machine knows"):
        yard.cancel(submission, [ours])
    remove_access(submission.folder)
    os.rename(submission.folder, f"{submission.folder}.away")  # as where the outputs are on S3
    assert yard.states(submission, [ours]) == [State.UNKNOWN]


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        (
            "no_such_package.Cluster",
            "no_such_package.Cluster cannot be imported: .*: pip install no-such-package",
        ),
        ("dask_jobqueue.PBSCluster", "cannot be imported: .*: pip install dask-jobqueue"),
        ("distributed.NoSuchCluster", "distributed.NoSuchCluster is not a class of Dask clusters"),
        ("subprocess.Popen", "subprocess.Popen is not a class of Dask clusters"),
    ],
)
def test_classes_that_start_no_cluster(yard: Yard, cluster: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        yard.hand_in(yard.submission(MONTHS, "dask", {"cluster": cluster}))


def test_an_argument_that_the_class_does_not_take(yard: Yard) -> None:
    submission = yard.submission(
        MONTHS, "dask", {"cluster": "local", "options": {"processes": False, "no_such": 1}}
    )
    with pytest.raises(EngineError, match=r"the Dask cluster was not started: .*no_such.*dask\.log"):
        yard.hand_in(submission)


@pytest.mark.parametrize(
    ("stop", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)],
)
def test_submit_is_told_to_end_while_the_cluster_does_not_come_up(yard: Yard, stop: int, code: int) -> None:
    (yard.folder / "hang.py").write_text(
        "import pathlib, time\nfrom distributed import LocalCluster\n"
        "class Hang(LocalCluster):\n    def __init__(self, **_):\n"
        "        pathlib.Path('hangs').touch()\n        time.sleep(600)\n"
    )
    (yard.folder / "batchfile.toml").write_text(f'{MONTHS}[dask]\ncluster = "hang.Hang"\n')
    env = {**os.environ, "PYTHONPATH": str(yard.folder)}
    with subprocess.Popen([sys.executable, "-m", "pydoit_sc", "submit"], cwd=yard.folder, env=env) as process:
        try:
            yard.await_((yard.folder / "hangs").exists)
            process.send_signal(stop)
            assert process.wait(30) == code
        finally:
            process.kill()
    (folder,) = (yard.folder / "out/.pydoit_sc/submissions").iterdir()
    yard.await_(lambda: not processes_with(str(folder)))
    assert "nothing has been submitted" in program(yard, "submissions").stdout


def test_an_empty_table_names_no_cluster(yard: Yard) -> None:
    with pytest.raises(
        EngineError, match=r"batchfile\.toml: \[dask\]: expected either `address = .*, found neither"
    ):
        yard.engine.prepare(yard.submission(MONTHS, "dask", {}))


def test_distributed_is_not_installed(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for table in ({"address": "tcp://127.0.0.1:9"}, {"cluster": "local"}):
        with pytest.raises(EngineError, match=r"pip install 'pydoit-sc\[dask\]'"):
            yard.hand_in(yard.submission(MONTHS, "dask", table))


def test_what_the_scheduler_needs_of_us() -> None:
    """Its machine unpickles the task: nothing else of ours, and nothing heavy, is loaded there."""
    code = (
        "import pickle, sys\n"
        f"pickle.loads({pickle.dumps(dask_task.execute)!r})\n"
        "print([name for name in sys.modules if name in ('doit', 'fsspec', 'yaml', 'rich', 'distributed')])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_the_order_of_tasks(yard: Yard) -> None:
    submission = yard.submission(ORDERED, "dask", {"address": "tcp://x:1"})
    key = f"pydoit-sc-{submission.id}-"
    gate = f"pydoit-sc-gate-{submission.id}-3"
    after = {task.key: list(task.after) for task in make_tasks(submission, 2)}
    assert after == {
        key + "0": [],
        key + "1": [],
        key + "2": [key + "0"],
        gate: [key + "0", key + "1", key + "2"],
        key + "3": [gate, key + "1"],
        key + "4": [gate, key + "2"],
    }
    assert not any(key in task.after for task in make_tasks(submission, 0) if task.script)


def test_a_plan_is_read_as_it_was_written(yard: Yard) -> None:
    table = {"cluster": "dask_jobqueue.LSFCluster", "options": {"queue": "long", "cores": 4}}
    submission = yard.submission(ORDERED, "dask", table, scale=7)
    for name, text in yard.engine.prepare(submission).items():
        Path(submission.folder, name).write_text(text)
    graph = TaskGraph.read(submission.folder)
    assert graph == make_graph(submission)
    assert (graph.cluster, graph.options, graph.scale) == (table["cluster"], table["options"], 7)


def parent(pid: int) -> int:
    """Return a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
