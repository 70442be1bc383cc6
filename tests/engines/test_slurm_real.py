"""The engine `slurm` on a real Slurm: what kills, stops and holds jobs there, and what the store says after it."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.cluster import MAX_ARRAY, Cluster
from tests.engines.place import Place
from tests.starts import PROGRAMS

pytestmark = pytest.mark.slow

#: One chunk, whose runs execute one after the other; the third goes on until there is a file `go`, the last fails.
CHUNK = """\
[batch]
remote_output_path = "file://out"
nprocs = 1
batch_size = 10
durable = false
grace = "1s"

[runs.a]
cmd = "echo {x} >> log; echo $PPID > worker; while test {x} = 2 -a ! -e go; do sleep 0.05; done; test {x} != 4"
matrix = { x = [0, 1, 2, 3, 4] }
"""
STATUSES = {f"a/{x}": int(x == 4) for x in range(5)}
ONCE = dict.fromkeys("0134", 1)

SMALL = """\
[batch]
remote_output_path = "file://out"
nprocs = 1
batch_size = 1
durable = false

[runs.a]
cmd = "echo {x} >> log"
matrix = { x = { range = [0, 8] } }

[runs.b]
cmd = "wc -l < log; echo b >> log"
after = ["a"]
"""

#: Two chunks for each of three stages, which pair up; the first run fails, and the last one does not end.
PAIRED = """\
[batch]
remote_output_path = "file://out"
nprocs = 1
batch_size = 2
durable = false

[runs.a]
cmd = "echo {x} >> log; echo $PPID > worker{x}; while test {x} = 3; do sleep 0.05; done; test {x} != 0"
matrix = { x = [0, 1, 2, 3] }

[runs.b]
cmd = "true"
matrix = { x = [0, 1, 2, 3] }
after = ["a:{x}"]

[runs.c]
cmd = "true"
matrix = { x = [0, 1, 2, 3] }
after = ["b:{x}"]
"""


@pytest.fixture
def project(slurm: Cluster, folder: Path) -> Place:
    """A project with one chunk, which has not been submitted."""
    place = Place(folder, "slurm", "cpus_per_task = 1\ntime = 10", dict(slurm.env))
    place.batchfile(CHUNK)
    return place


@pytest.fixture
def job(project: Place) -> str:
    """The id of the project's job, which executes its third run."""
    project("submit")
    project.until(lambda: len(project.log()) == 3 and len(project.codes()) == 2)
    (id_,) = project.jobs()
    return id_


def finished(project: Place, again: int) -> None:
    """Check what the store says once all runs have ended, of which the third was started so often."""
    project.until_ended()
    assert project.codes() == STATUSES, project.logs()
    assert project.executed() == {**ONCE, "2": again}
    for folder in (project.folder / "out" / ".pydoit_sc").glob("history/**/status_code"):
        assert folder.read_text() != "0"


def test_arrays_are_no_longer_than_slurm_takes(project: Place) -> None:
    project.batchfile(SMALL)
    project("submit", "--wait")
    assert len(project.jobs()) == 3
    assert project.executed() == dict.fromkeys([*map(str, range(8)), "b"], 1)
    assert (project.folder / "out/b/stdout").read_text() == "8\n"
    project.published_once()
    assert MAX_ARRAY < 8


def test_as_many_ranks_as_the_job_has_cores(project: Place) -> None:
    project.table = "cpus_per_task = 2"
    text = CHUNK.replace("nprocs = 1", 'nprocs = "cores"').replace(
        "echo $PPID", "echo $SATURN_RUN_LOCAL_RANK"
    )
    project.batchfile(text.replace("worker; while", "worker{x}; sleep 0.5; while"))
    project.write("go", "")
    project("submit", "--wait", code=1)
    ranks = {file.read_text() for file in project.folder.glob("worker[0-9]")}
    assert ranks == {"0\n", "1\n"}


def test_requeued(project: Place, slurm: Cluster, job: str) -> None:
    worker = (project.folder / "worker").read_text().strip()
    slurm.call("scontrol", "requeue", job)
    project.until(lambda: not Path("/proc", worker).exists())  # or its run could still end by itself
    project.write("go", "")
    finished(project, 2)


def test_told_to_leave(project: Place, slurm: Cluster, job: str) -> None:
    """As by a preemption that only sends a signal: the job asks to be queued again."""
    slurm.call("scancel", "--batch", "--signal=TERM", job)
    project.until(lambda: "to be queued again" in project.logs())
    project.write("go", "")
    finished(project, 2)


def test_told_to_leave_before_any_run_has_ended(project: Place, slurm: Cluster) -> None:
    """It is not queued again: it might not come to an end ever."""
    project.batchfile(CHUNK, **{"[0, 1, 2, 3, 4]": "[2]"})
    project("submit")
    project.until(lambda: project.log() == ["2"])
    (job_id,) = project.jobs()
    slurm.call("scancel", "--batch", "--signal=TERM", job_id)
    project.until_ended()
    assert "so it is not queued again" in project.logs()
    assert project.codes() == {}


def test_each_task_of_an_array_is_queued_again_alone(project: Place, slurm: Cluster) -> None:
    """Also the last one that Slurm starts, whose job has the id of the array."""
    project.batchfile(
        CHUNK,
        **{
            "batch_size = 10": "batch_size = 2",
            "[0, 1, 2, 3, 4]": "[0, 10, 1, 11, 4, 14]",
            "test {x} = 2 ": "test {x} -ge 10 ",
        },
    )
    project("submit")
    project.until(lambda: len(project.log()) == 6 and len(project.codes()) == 3)
    (job_id,) = project.jobs()
    for task in range(3):
        slurm.call("scancel", "--batch", "--signal=TERM", f"{job_id}_{task}")
    project.until(lambda: project.logs().count("to be queued again") == 3)
    project.write("go", "")
    project.until_ended()
    assert project.codes() == {"a/0": 0, "a/10": 0, "a/1": 0, "a/11": 0, "a/4": 1, "a/14": 0}
    assert project.executed() == {"0": 1, "10": 2, "1": 1, "11": 2, "4": 1, "14": 2}


def test_cancelled_jobs_stay_so(project: Place, job: str) -> None:
    project("cancel")
    project.until_ended()
    assert "queued again" not in project.logs()
    assert project.executed() == dict.fromkeys("012", 1)
    project.write("go", "")
    assert "failed a:4" in project("submit", "--wait", code=1)
    finished(project, 2)


def test_what_cannot_be_told_to_be_of_the_submission_is_not_called_cancelled(
    project: Place, slurm: Cluster, job: str
) -> None:
    moved = replace(project, folder=project.folder.with_name("moved"))
    project.folder.rename(moved.folder)
    said = moved("cancel", code=3)
    assert f"Slurm's jobs {job} go on, since their script does not lie in {moved.folder}/out/" in said
    assert f"end them by `scancel {job}`" in said
    assert f"`pydoit-sc cancel --gone -f {moved.folder}" in said
    said = moved("submissions")
    assert "1 unknown" in said
    assert f"the script of Slurm's job {job} does not lie in {moved.folder}/out/" in said
    assert moved("cancel", "--gone").endswith(" (slurm) counts as ended\n")
    assert slurm.running()
    moved.folder.rename(project.folder)
    (submission,) = (project.folder / "out/.pydoit_sc/submissions").iterdir()
    shutil.rmtree(submission)
    assert project("cancel", submission.name).startswith(f"cancelled {submission.name} (slurm)")
    project.until(lambda: not slurm.queue())
    assert project("cancel", submission.name) == f"{submission.name} (slurm) has ended already\n"


def test_a_worker_is_killed(project: Place, job: str) -> None:
    os.kill(int((project.folder / "worker").read_text()), signal.SIGKILL)
    project.until_ended()
    assert project.codes() == {"a/0": 0, "a/1": 0}
    project.write("go", "")
    project("submit", "--wait", code=1)
    finished(project, 2)


def test_chunks_start_whose_earlier_ones_have_ended_badly(project: Place) -> None:
    """A run is held back, and a worker is killed: what comes after the others executes all the same."""
    project.batchfile(PAIRED)
    project("submit")
    assert len(project.jobs()) == 3
    project.until(lambda: (project.folder / "worker3").exists() and "a/2" in project.codes())
    os.kill(int((project.folder / "worker3").read_text()), signal.SIGKILL)
    project.until_ended()
    assert project.codes() == {"a/0": 1, **{f"{stage}/{x}": 0 for stage in "abc" for x in (1, 2)}}


def test_a_node_is_lost_but_its_worker_goes_on(project: Place, slurm: Cluster, job: str) -> None:
    """The chunk's second worker waits for the runs that the first one executes."""
    (node,) = slurm.running().values()
    slurm.kill_node(node)
    project.until(lambda: "waiting for a:2" in project.logs())  # on another node, after some time
    assert node not in slurm.running().values()
    project.write("go", "")
    project.until_ended()
    project.until(lambda: set(project.codes()) == set(STATUSES))
    assert project.codes() == STATUSES
    executed = project.executed()
    assert (executed["0"], executed["1"], executed["2"]) == (1, 1, 1)
    for file in (project.folder / "out" / ".pydoit_sc").glob("history/**/status_code"):
        assert file.read_text() != "0"


def test_two_submits_at_once(project: Place) -> None:
    project.batchfile(SMALL)
    both = [project.start("submit", "--wait") for _ in range(2)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in both]
    assert sorted(code for _, code in ended) == [0, 3], ended
    assert any("is under way" in err for (_, err), _ in ended)
    assert project.executed() == dict.fromkeys([*map(str, range(8)), "b"], 1)
    project.published_once()


def test_held_jobs_are_seen_and_said(project: Place, slurm: Cluster) -> None:
    project.table += '\noptions = ["--hold"]'
    project.batchfile(CHUNK)
    project.write("go", "")
    project("submit")
    assert "1 held" in project("submissions")
    assert "is held: JobHeldUser" in project("submissions")
    (job_id,) = project.jobs()
    slurm.call("scontrol", "release", job_id)
    finished(project, 1)


def test_held_tasks_are_said_while_others_execute(project: Place, slurm: Cluster) -> None:
    project.table += '\noptions = ["--hold"]'
    project.batchfile(CHUNK, **{"batch_size = 10": "batch_size = 3"})
    project("submit")
    (job_id,) = project.jobs()
    slurm.call("scontrol", "release", f"{job_id}_0")
    project.until(lambda: len(project.log()) == 3)
    assert f"job {job_id} is held: JobHeldUser (some of its tasks)" in project("submissions")
    slurm.call("scontrol", "release", job_id)
    project.write("go", "")
    finished(project, 1)


def test_nothing_is_half_submitted(project: Place, slurm: Cluster) -> None:
    """The second array is refused, so the first one is taken back."""
    real = shutil.which("sbatch")
    programs = project.folder.parent / "programs"
    programs.mkdir()
    (programs / "sbatch").write_text(
        f'#!/bin/sh\necho . >> {programs}/calls\ntest $(wc -l < {programs}/calls) = 1 && exec {real} --hold "$@"\n'
        "echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy' >&2\nexit 1\n"
    )
    (programs / "sbatch").chmod(0o755)
    project.batchfile(SMALL)
    project.env["PATH"] = f"{programs}:{os.environ['PATH']}"
    said = project("submit", code=3)
    assert said.startswith("ERROR: sbatch: Batch job submission failed: Job violates"), said
    project.until(lambda: not slurm.queue())
    assert "nothing has been submitted" in project("submissions")
    del project.env["PATH"]
    project("submit", "--wait")
    project.published_once()


def test_what_sbatch_refuses(project: Place) -> None:
    project.table = 'partition = "nowhere"'
    project.batchfile(CHUNK)
    assert "invalid partition specified: nowhere" in project("submit", code=3)


def test_without_slurm(project: Place, tmp_path: Path) -> None:
    project.env["PATH"] = str(tmp_path)
    said = project("submit", code=3)
    assert said == (
        "ERROR: the program `scontrol` is not on PATH: the engine slurm works where Slurm's commands are installed\n"
    )


def test_code_that_machines_fetch(project: Place) -> None:
    """Runs start in what was fetched, as it was when it was sent; what is excluded is not there."""
    text = CHUNK.replace(
        "echo {x} >> log; echo $PPID > worker; ", f"echo {{x}} >> '{project.folder.parent}/log'; "
    )
    sync = '[sync]\ndirs = [".:my code"]\nexclude = ["*.big"]\nto = "file://staged"\n'
    project.batchfile(
        f"{sync}\n{text.replace('-a ! -e go', '-a ! -e sub/go')}".replace("echo {x}", "ls; pwd; echo {x}")
    )
    (project.folder / "sub").mkdir()
    project.write("sub/go", "")
    project.write("x.big", "")
    project("submit", "--wait", code=1)
    assert project.codes() == STATUSES
    listed = (project.folder / "out/a/0/stdout").read_text().splitlines()
    assert listed[:-1] == ["batchfile.toml", "sub"]
    assert listed[-1].endswith("/my code")
    shutil.rmtree(Path(listed[-1]).parent)


@pytest.mark.skipif("PYDOIT_SC_NIGHTLY" not in os.environ, reason="takes some minutes: PYDOIT_SC_NIGHTLY=1")
def test_a_walltime_that_ends_in_the_middle_of_a_chunk(project: Place) -> None:
    """Slurm's warning may come a minute early, so that in two minutes four runs of five have no time to end."""
    project.table = "cpus_per_task = 1\ntime = 2"
    project.batchfile(CHUNK.replace("while test {x} = 2 -a ! -e go; do sleep 0.05; done", "sleep 25"))
    project("submit")
    project.until(lambda: set(project.codes()) == set(STATUSES), seconds=400)
    project.until_ended()
    assert "to be queued again" in project.logs()
    assert project.codes() == STATUSES
    executed = project.executed()
    assert sorted(executed) == list("01234")
    assert sorted(executed.values())[:4] == [1, 1, 1, 1]  # at most the one that was stopped executed twice
    assert executed.total() <= 6


def test_the_end_is_told_once_and_not_of_what_was_cancelled(project: Place) -> None:
    hook = "on_finish = 'echo $PYDOIT_SC_COMPLETED $PYDOIT_SC_FAILED $PYDOIT_SC_SUBMISSION >> told'\n"
    told = project.folder / "told"
    project.batchfile(SMALL.replace("durable", f"{hook}durable"))
    project("submit")
    project.until(told.exists)
    project.until_ended()
    (line,) = told.read_text().splitlines()
    assert line.split()[:2] == ["9", "0"]
    assert len(project.jobs()) == 4
    project.batchfile(CHUNK.replace("durable", f"{hook}durable").replace("runs.a", "runs.c"))
    project("submit")
    project.until((project.folder / "worker").exists)
    project("cancel")
    project.until(lambda: project("submissions", "--all").count(" ended") == 2)
    assert told.read_text().splitlines() == [line]


def test_what_a_run_has_submitted_outlives_it(project: Place) -> None:
    """Its own batch, too: the run itself is left out while it executes."""
    submit = f"{PROGRAMS}/pydoit-sc submit --force --engine slurm boot a"
    project.batchfile(
        CHUNK.replace(
            "[runs.a]", f'[runs.boot]\ncmd = "{submit}; until [ -e worker ]; do sleep 0.05; done"\n\n[runs.a]'
        )
    )
    project("run", "boot")
    project.until(lambda: len(project.log()) == 3)
    project.write("go", "")
    project.until_ended()
    assert project.codes() == {**STATUSES, "boot": 0}, project.logs()
    assert project.executed() == {**ONCE, "2": 1}
    assert project.logs().count("it has started or submitted this worker itself") == 1
