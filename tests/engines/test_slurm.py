"""The engine `slurm` without Slurm: the script it writes and the arrays it makes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pydoit_sc.batchfile import BatchfileError, load
from pydoit_sc.engines.base import EngineError, Group, Submission
from pydoit_sc.engines.slurm import (
    Array,
    Place,
    Slurm,
    arrays,
    end_words,
    job_script,
    sbatch_words,
)
from tests.engines.place import Place as Folder

GOLDEN = Path(__file__).parent / "slurm_job.sh"

FULL = """\
[batch]
name = "it's a batch"
remote_output_path = "file:///shared/out"
nprocs = "gpus"
scale = 20
grace = "90s"
storage_options = { endpoint_url = "http://minio:9000", secret = "s3cr3t" }

[[runs]]
cmd = "train"

[slurm]
partition = "gpu"
account = "proj 1"
time = "1-00:00:00"
mem = "64G"
cpus_per_task = 16
gpus_per_node = "a100:4"
constraint = "[rack1|rack2]"
qos = "long"
job_name = "training"
options = ["--exclusive", "#SBATCH --mail-type=END"]
setup = '''
module load python
source .venv/bin/activate
'''
worker = "pydoit-sc"
"""


@pytest.fixture
def submission(tmp_path: Path) -> Callable[..., Submission]:
    """Return the submission of a batchfile, of so many chunks in each group."""

    def submission(text: str, *counts: int) -> Submission:
        (tmp_path / "batchfile.toml").write_text(text)
        batch = load(tmp_path / "batchfile.toml")
        groups = [Group(sum(counts[:n]), count) for n, count in enumerate(counts)]
        chunks = f"{batch.remote_output_path}/.pydoit_sc/submissions/ID"
        after = [None if group.first else () for group in groups for _ in range(group.count)]
        return Submission("ID", batch, [], chunks, groups, after, batch.scale, "/shared/ID 100%", "")

    return submission


def test_the_job_script(submission: Callable[..., Submission], tmp_path: Path) -> None:
    script = job_script(submission(FULL, 1), "/opt/python").replace(str(tmp_path), "/home/me")
    if "REWRITE_GOLDEN" in os.environ:
        GOLDEN.write_text(script)
    assert script == GOLDEN.read_text()
    assert "s3cr3t" not in script
    subprocess.run(["bash", "-n", GOLDEN], check=True)


def test_the_job_that_tells_of_the_end(submission: Callable[..., Submission], tmp_path: Path) -> None:
    told = replace(submission(FULL, 1), end="exec python -m finish ID")
    assert Slurm().prepare(submission(FULL, 1)).keys() == {"job.sh"}
    assert Slurm().prepare(replace(told, setup="fetch\n")).keys() == {"job.sh"}
    script = Slurm().prepare(told)["end.sh"]
    assert script.splitlines() == [
        "#!/bin/bash",
        "#SBATCH --job-name=end",
        "#SBATCH --output='/shared/ID 100%%/logs/end.log'",
        "#SBATCH --time=5",
        "#SBATCH --partition=gpu",
        "#SBATCH --account='proj 1'",
        "#SBATCH --qos=long",
        "exec python -m finish ID",
    ]
    assert end_words(told, ["7", "8"]) == [
        "sbatch", "--parsable", "--dependency=afterany:7:8", "/shared/ID 100%/end.sh", "0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("time", "limit"),
    [
        ("1-00:00:00", 77_640.0),
        ("30", 1_500.0),
        ("2:00", 0.0),
        ("0:00", None),
        ("1 day", 77_640.0),
        ("29m 30 s", 1_500.0),
    ],
)
def test_a_job_has_its_time_less_a_tenth_and_the_end(
    submission: Callable[..., Submission], time: str, limit: float | None
) -> None:
    """The end takes 90 s of grace, and 30 s."""
    assert Slurm().limit(submission(FULL.replace("1-00:00:00", time), 1).batch) == limit
    assert Slurm().limit(submission(FULL.replace('time = "1-00:00:00"', ""), 1).batch) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('partition = "a\\nb"', "slurm.partition: expected a string without control characters"),
        ('options = ["--a\\n--wrap=evil"]', "slurm.options.0: expected a string without control characters"),
        (
            "time = 0",
            'slurm.time: expected a duration such as "4h" or "1h 30m", a number of minutes, or "hours:',
        ),
        ('time = "soon"', "slurm.time: expected a duration such as"),
        ('time = "0h"', "slurm.time: expected a duration such as"),
        ('time = "4h 30"', "slurm.time: expected a duration such as"),
        ("gpus_per_node = 0", "slurm.gpus_per_node: expected an integer of at least 1"),
        ('gpus_per_node = "a100"', "slurm.gpus_per_node: expected an integer of at least 1"),
        ('partitions = "a"', "slurm.partitions: unknown key; did you mean `partition`?"),
    ],
)
def test_what_the_table_takes(submission: Callable[..., Submission], line: str, message: str) -> None:
    with pytest.raises(BatchfileError) as error:
        submission(f'[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "a"\n[slurm]\n{line}\n', 1)
    assert message.replace(".0", "") in str(error.value).replace("[0]", "").replace(".0", "")


def test_folders_that_slurm_would_misread(submission: Callable[..., Submission]) -> None:
    with pytest.raises(EngineError, match="no path with a backslash"):
        job_script(replace(submission(FULL, 1), folder="/a\\b"), "python3")


@pytest.mark.parametrize(
    ("table", "nprocs", "expected"),
    [
        ("", "3", 3),
        ("", '"cores"', None),
        ("cpus_per_task = 4", '"cores"', 4),
        ('gpus_per_node = "a:2"', '"gpus"', 2),
    ],
)
def test_how_many_runs_a_machine_executes(
    submission: Callable[..., Submission], table: str, nprocs: str, expected: int | None
) -> None:
    text = f'[batch]\nremote_output_path = "out"\nnprocs = {nprocs}\n[[runs]]\ncmd = "a"\n[slurm]\n{table}\n'
    assert Slurm().nprocs(submission(text, 1).batch) == expected


@pytest.mark.parametrize(
    ("groups", "scale", "expected"),
    [
        ([3], None, [Array(0, 3)]),
        ([7], None, [Array(0, 3), Array(3, 3), Array(6, 1)]),
        ([7], 2, [Array(0, 3), Array(3, 3, (Place(0),)), Array(6, 1, (Place(1),))]),
        ([4, 1], None, [Array(0, 3), Array(3, 1), Array(4, 1, (Place(0), Place(1)))]),
        (
            [4, 4],
            2,
            [
                Array(0, 3),
                *(Array(n, size, (Place(i),)) for i, (n, size) in enumerate([(3, 1), (4, 3), (7, 1)])),
            ],
        ),
    ],
)
def test_arrays(
    submission: Callable[..., Submission], groups: list[int], scale: int | None, expected: list[Array]
) -> None:
    after: list[tuple[int, ...] | None] = [()] * groups[0] + [None] * sum(groups[1:])
    assert arrays(_shaped(submission, groups, after, scale), 3) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        # Two stages that pair up: an array for an array, task by task.
        ([(0,), (1,), (2,), (3,)], [Array(4, 3, (Place(0),), paired=True), Array(7, 1, (Place(1),), paired=True)]),
        # Of exactly those tasks, which may be in two arrays.
        ([(0, 3), (0, 3), (2,), None], [
            Array(4, 2, (Place(0, 0), Place(1, 0))), Array(6, 1, (Place(0, 2),)), Array(7, 1, (Place(0), Place(1)))
        ]),
        # Not quite in pairs.
        ([(0,), (1,), (2,), (2,)], [
            Array(4, 1, (Place(0, 0),)), Array(5, 1, (Place(0, 1),)), Array(6, 2, (Place(0, 2),))
        ]),
    ],
)  # fmt: skip
def test_arrays_that_wait_for_some_chunks(
    submission: Callable[..., Submission], after: list[tuple[int, ...] | None], expected: list[Array]
) -> None:
    shaped = _shaped(submission, [4, 4], [()] * 4 + after, None)
    assert arrays(shaped, 3) == [Array(0, 3), Array(3, 1), *expected]


def test_many_different_waits_become_one(submission: Callable[..., Submission]) -> None:
    after: list[tuple[int, ...] | None] = [()] * 200 + [(n, n + 1) for n in range(199)]
    shaped = _shaped(submission, [200, 199], after, None)
    assert arrays(shaped, 1000) == [Array(0, 200), Array(200, 199, (Place(0),))]


def _shaped(
    submission: Callable[..., Submission],
    groups: list[int],
    after: list[tuple[int, ...] | None],
    scale: int | None,
) -> Submission:
    made = [Group(sum(groups[:n]), count) for n, count in enumerate(groups)]
    return replace(submission(FULL, 1), groups=made, after=after, scale=scale)


def test_the_words_for_sbatch(submission: Callable[..., Submission]) -> None:
    words = sbatch_words(submission(FULL, 9), Array(3, 4, (Place(0, 2), Place(1))), ["17", "18"])
    assert words == [
        "sbatch", "--parsable", "--array=0-3%20", "--dependency=afterany:17_2:18", "/shared/ID 100%/job.sh", "3"
    ]  # fmt: skip
    words = sbatch_words(submission(FULL, 9), Array(3, 4, (Place(1),), paired=True), ["17", "18"])
    assert words[3] == "--dependency=aftercorr:18?afterany:18"


@pytest.fixture
def stopped(folder: Path) -> Callable[[str], Folder]:
    """Return a project with programs in place of Slurm's: `sbatch` takes an array, and then `submit` gets a signal."""

    def stopped(name: str) -> Folder:
        programs = folder.parent / "programs"
        programs.mkdir()
        for program, text in {
            "scontrol": "echo MaxArraySize = 2",
            "sbatch": (
                'for word; do case $word in */job.sh) echo "$word" > script; esac; done\n'
                f"echo . >> calls; kill -{name} $PPID; wc -l < calls"
            ),
            "squeue": 'for job in $(seq $(wc -l < calls)); do printf "$job|RUNNING|None\\t%s 0\\n" "$(cat script)"; done',
            "scancel": "echo $* > cancelled",
        }.items():
            (programs / program).write_text(f"#!/bin/sh\ncd {programs} || exit\n{text}\n")
            (programs / program).chmod(0o755)
        place = Folder(folder, "slurm", env={"PATH": f"{programs}:{os.environ['PATH']}"})
        place.batchfile(
            '[batch]\nremote_output_path = "out"\nbatch_size = 1\n'
            '[runs.a]\ncmd = "true"\nmatrix = { x = [1, 2, 3, 4, 5] }\n'
        )
        return place

    return stopped


@pytest.mark.parametrize("name", ["HUP", "TERM"])
def test_a_stop_signal_between_two_arrays_leaves_none_that_nobody_knows(
    stopped: Callable[[str], Folder], name: str
) -> None:
    place = stopped(name)
    place("submit", code=-getattr(signal, f"SIG{name}"))
    assert place.jobs() == ["1", "2", "3"]


def test_ctrl_c_between_two_arrays_ends_all(stopped: Callable[[str], Folder]) -> None:
    place = stopped("INT")
    place("submit", code=130)
    assert (place.folder.parent / "programs/cancelled").read_text() == "-- 1 2 3\n"
    assert "nothing has been submitted" not in place("submissions")
    assert "ended" in place("submissions")
