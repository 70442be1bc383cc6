"""The engine `slurm`: one task of a job array for each chunk.

A group of chunks becomes one array, or several where it is longer than Slurm takes. An array that must wait, for the
group before or so that no more than `scale` tasks execute at once, is given a dependency on the end of others,
whatever their outcome is: the worker looks itself whether it may start.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from string import Template
from typing import Annotated, NamedTuple

from pydantic import Field

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.durations import parse_duration
from pydoit_sc.batchfile.fields import Count, Parsed, Script, Text, Texts, matching
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.engines.base import EngineError, Group, Handed, JobState, State, Submission, call_program
from pydoit_sc.engines.squeue import COLUMNS, read_commands, read_squeue
from pydoit_sc.errors import warn_once
from pydoit_sc.templates import read_template

SCRIPT = "job.sh"
LOGS = "logs"
END = "end.sh"

_ID = re.compile(r"[0-9]{1,10}")
_MANY_PIECES = 50  # of a group: each is an array of its own
_MARGIN = 30  # seconds that a worker has to publish and leave after the runs' grace
_TO_TELL = 5  # minutes for the job that tells of the end
_SPARE = 0.1  # of a job's time that its runs are not expected to take: they may take longer than before
_MANY_TASKS = 1001  # Slurm's own MaxArraySize
_OPTIONS = ("partition", "account", "time", "mem", "cpus_per_task", "gpus_per_node", "constraint", "qos")


_TIME = 'a duration such as "4h" or "1h 30m", a number of minutes, or "hours:minutes:seconds" or "days-hours:minutes:seconds"'
_AS_SBATCH = matching(r"[1-9]\d*|\d+(:\d+){1,2}|\d+-\d+(:\d+){0,2}", _TIME, numbers=True)


def _time(value: object) -> str:
    """Return a time as sbatch takes it; one with a unit becomes minutes, rounded up. Raises PydanticCustomError."""
    if isinstance(value, str) and value.strip()[-1:].isalpha():
        with suppress(ValueError):
            if seconds := parse_duration(value):
                return str(ceil(seconds / 60))
    return _AS_SBATCH.parse(value)  # type: ignore[no-any-return]


_EXAMPLES = {"type": "string", "examples": ["4h", "1h 30m", "12:00:00", "1-00:00:00"]}
SlurmTime = Annotated[str, Parsed(_time, {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _EXAMPLES]})]
Gpus = Annotated[
    str,
    matching(r"([A-Za-z][\w.-]*:)?[1-9]\d*", 'an integer of at least 1, or "kind:number"', numbers=True),
]


class SlurmTable(Table):
    """`[slurm]`: what the jobs ask for; the names are those of sbatch's options."""

    partition: Text | None = Field(default=None, description="`--partition`")
    account: Text | None = Field(default=None, description="`--account`")
    time: SlurmTime | None = Field(
        default=None, description='`--time` of each job: `"4h"`, a number of minutes, or as sbatch takes it'
    )
    mem: Text | None = Field(default=None, description='`--mem` of each job, such as `"16G"`')
    cpus_per_task: Count | None = Field(
        default=None, description="cores of each job; left out: `nprocs`, if that is a number"
    )
    gpus_per_node: Gpus | None = Field(default=None, description='GPUs of each job: `2`, or `"a100:2"`')
    constraint: Text | None = Field(default=None, description="`--constraint`")
    qos: Text | None = Field(default=None, description="`--qos`")
    job_name: Text | None = Field(
        default=None, description="name of the jobs; left out: the name of the batch"
    )
    options: Texts = Field(
        default=(), description='further lines of `#SBATCH`, such as `["--exclusive"]`; they go before ours'
    )
    setup: Script = Field(
        default="", description="lines of shell before the worker starts, such as `module load`"
    )
    worker: Text | None = Field(
        default=None, description="command of the worker; left out: this Python's pydoit-sc"
    )


class Place(NamedTuple):
    """An array by its place in the submission, or one task of it."""

    array: int
    task: int | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """A job array: as many chunks as Slurm takes at once."""

    first: int  # the number of its first chunk
    count: int
    after: Sequence[Place] = ()  # what must end before it starts
    paired: bool = False  # with the one array that it comes after, task by task


class Slurm:
    """Job arrays of Slurm."""

    name = "slurm"
    table = SlurmTable
    ordered = True

    def nprocs(self, batch: Batch) -> int | None:
        """Return what the batch says, or how many cores or GPUs [slurm] asks for."""
        if isinstance(batch.nprocs, int):
            return batch.nprocs
        table = batch.table("slurm", SlurmTable)
        if batch.nprocs == "gpus":
            return int(table.gpus_per_node.rpartition(":")[2]) if table.gpus_per_node else None
        return table.cpus_per_task

    def limit(self, batch: Batch) -> float | None:
        """Return what `time` leaves when a tenth of it, and what the worker has to end in, are taken off."""
        time = batch.table("slurm", SlurmTable).time
        seconds = seconds_of(time) if time else 0
        return max(0.0, seconds * (1 - _SPARE) - warning_seconds(batch)) if seconds else None

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Return the job script, and that of the job that tells of the end, where that can be had."""
        scripts = {SCRIPT: job_script(submission, sys.executable)}
        return {**scripts, END: end_script(submission)} if _tells(submission) else scripts

    def submit(self, submission: Submission) -> Sequence[str]:
        """Submit the arrays; if one is refused, those before it are taken back."""
        ids: list[str] = []
        try:
            for array in arrays(submission, _longest_array()):
                ids.append(_job_id(_call(*sbatch_words(submission, array, ids))))
            if _tells(submission):
                ids += _end_job(submission, ids)
        except BaseException:
            with suppress(EngineError):
                _call("scancel", "--", *ids)
            raise
        return ids

    def poll(self, handed: Sequence[Handed]) -> Mapping[str, JobState]:
        """Ask for all jobs at once; a job that Slurm does not know any more has ended."""
        ids = [(job, one.folder) for one in handed for job in _ids(one)]
        jobs = [job for job, _ in ids]
        text = _squeue(jobs)
        commands = read_commands(text)
        ours = {job for job, folder in ids if _is_script(commands.get(job, ""), folder)}
        strange = {
            job: JobState(State.UNKNOWN, f"the script of Slurm's job {job} does not lie in {folder}")
            for job, folder in ids
            if job in commands and job not in ours
        }
        return read_squeue(text, jobs) | strange

    def cancel(self, handed: Handed) -> None:
        """End all tasks of the arrays whose script is the submission's; raises EngineError if there are others."""
        commands = read_commands(_squeue(_ids(handed)))
        ours = [job for job, command in commands.items() if _is_script(command, handed.folder)]
        if ours:
            _call("scancel", "--", *ours)
        if strange := [job for job in commands if job not in ours]:
            raise EngineError(
                f"Slurm's jobs {', '.join(strange)} go on, since their script does not lie in {handed.folder}: "
                f"look at `scontrol show job {strange[0]}`, and if they are yours, end them by `scancel {' '.join(strange)}`"
            )

    def hints(self, handed: Handed) -> Mapping[str, str]:
        """Return how Slurm is asked, and how what the workers write is shown."""
        return {
            "the state of its jobs": f"squeue -j {','.join(handed.jobs)}",
            "what the workers write": f"tail -n +1 {shlex.quote(handed.folder)}/{LOGS}/*.log",
        }


def job_script(submission: Submission, python: str) -> str:
    """Return the script of all of a submission's arrays; `python` is one that has this package on every node."""
    table = submission.batch.table("slurm", SlurmTable)
    template = Template(read_template("slurm.sh"))
    setup = [
        f"pydoit_sc_python={shlex.quote(python)}",
        table.setup.strip("\n"),
        submission.start.rstrip("\n"),
    ]
    return template.substitute(
        directives="\n".join(f"#SBATCH {line}" for line in directives(submission)),
        setup="\n".join(line for line in setup if line),
        worker=table.worker or '"$pydoit_sc_python" -m pydoit_sc',
        words=shlex.join(["batch", *submission.options, submission.chunks]),
    )


def _tells(submission: Submission) -> bool:
    """Return whether a job tells of the end: it takes this folder, which machines that fetch the code do not have."""
    return bool(submission.end) and not submission.setup


def end_script(submission: Submission) -> str:
    """Return the script of the job that starts when all others have ended, and tells of that."""
    table = submission.batch.table("slurm", SlurmTable)
    options = {
        "job_name": "end",
        "output": f"{submission.folder.replace('%', '%%')}/{LOGS}/end.log",
        "time": _TO_TELL,
        **{
            name: value
            for name in ("partition", "account", "qos")
            if (value := getattr(table, name)) is not None
        },
    }
    lines = (
        f"#SBATCH --{name.replace('_', '-')}={shlex.quote(str(value))}" for name, value in options.items()
    )
    return "\n".join(("#!/bin/bash", *lines, submission.end, ""))


def end_words(submission: Submission, ids: Sequence[str]) -> list[str]:
    """Return the command that submits that job; `ids` are all others."""
    words = ["sbatch", "--parsable", f"--dependency=afterany:{':'.join(ids)}"]
    return [*words, f"{submission.folder}/{END}", "0"]


def _end_job(submission: Submission, ids: Sequence[str]) -> list[str]:
    """Submit that job and return its id, or nothing where it is refused: the runs are what counts."""
    try:
        return [_job_id(_call(*end_words(submission, ids)))]
    except EngineError as error:
        warn_once(f"nobody will tell of the end of {submission.id}: {error}")
        return []


def directives(submission: Submission) -> Iterator[str]:
    """Yield what sbatch is told in the script's head; raises EngineError for a path that Slurm does not take."""
    batch = submission.batch
    table = batch.table("slurm", SlurmTable)
    logs = f"{submission.folder}/{LOGS}"
    if "\\" in logs or not logs.isprintable():
        raise EngineError(
            f"{logs!r}: Slurm takes no path with a backslash or control characters for its logs"
        )
    options = {
        "job_name": "".join(char if char.isprintable() else "_" for char in batch.name),
        "output": f"{logs.replace('%', '%%')}/%A_%a.log",
        "open_mode": "append",  # a task that is started again adds to its log
        "signal": f"B:TERM@{warning_seconds(batch)}",
        **({"cpus_per_task": batch.nprocs} if isinstance(batch.nprocs, int) else {}),
        **{name: value for name in ("job_name", *_OPTIONS) if (value := getattr(table, name)) is not None},
    }
    yield from (f"--{name.replace('_', '-')}={shlex.quote(str(value))}" for name, value in options.items())
    yield "--requeue"
    for line in table.options:
        yield line.removeprefix("#SBATCH").strip()


def warning_seconds(batch: Batch) -> int:
    """Return how many seconds before its end a worker gets SIGTERM: the longest grace of a run, and a margin."""
    graces = {id(run.settings): run.settings.grace for _, run in batch.runs()}
    return int(max(graces.values(), default=0)) + _MARGIN


def seconds_of(time: str) -> int:
    """Return the seconds of a `time`; 0: no limit.

    >>> seconds_of("90"), seconds_of("90:30"), seconds_of("1:30:30"), seconds_of("2-1"), seconds_of("2-1:30")
    (5400, 5430, 5430, 176400, 178200)
    """
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if not dash and len(parts) < 3:
        parts.insert(0, 0)
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def arrays(submission: Submission, longest: int) -> list[Array]:
    """Return a submission's arrays, each of `longest` tasks at most.

    `%scale` holds for one array, so with it they start one after the other. Without it an array waits for no more than its
    chunks do, or for all of the groups before where that would be many arrays.
    """
    made: list[Array] = []
    for group in submission.groups:
        before = len(made)
        for first, count, after in _pieces(submission, group):
            for start in range(first, first + count, longest):
                size = min(longest, first + count - start)
                if submission.scale is not None:
                    made.append(Array(start, size, (Place(len(made) - 1),) if made else ()))
                elif (twin := _twin(made[:before], submission, start, size)) is not None:
                    made.append(Array(start, size, (Place(twin),), paired=True))
                elif after is None:
                    made.append(Array(start, size, tuple(map(Place, range(before)))))
                else:
                    made.append(Array(start, size, tuple(_place(made, chunk) for chunk in after)))
    return made


def _pieces(submission: Submission, group: Group) -> list[tuple[int, int, tuple[int, ...] | None]]:
    """Return a group in pieces: the first chunk, the number of chunks, and the chunks that all of these wait for.

    It is one piece where its chunks pair up with those before, or where there would be many.
    """
    if submission.scale is None and _twins(submission, group.first, group.count) is None:
        numbers = range(group.first, group.first + group.count)
        alike = [(after, list(chunks)) for after, chunks in groupby(numbers, submission.after.__getitem__)]
        if len(alike) <= _MANY_PIECES:
            return [(chunks[0], len(chunks), after) for after, chunks in alike]
    return [(group.first, group.count, None)]


def _twins(submission: Submission, first: int, count: int) -> int | None:
    """Return the first of the chunks in a row that so many chunks wait for, one for one; None if they do not pair up."""
    begin = submission.after[first]
    if begin and all(submission.after[first + n] == (begin[0] + n,) for n in range(count)):
        return begin[0]
    return None


def _twin(arrays: Sequence[Array], submission: Submission, first: int, count: int) -> int | None:
    """Return the place of the array that pairs up with so many chunks, task by task; None if there is none."""
    begin = _twins(submission, first, count)
    return next((i for i, array in enumerate(arrays) if (array.first, array.count) == (begin, count)), None)


def _place(arrays: Sequence[Array], chunk: int) -> Place:
    place = next(i for i, array in enumerate(arrays) if array.first <= chunk < array.first + array.count)
    return Place(place, chunk - arrays[place].first)


def sbatch_words(submission: Submission, array: Array, ids: Sequence[str]) -> list[str]:
    """Return the command that submits an array; `ids` are the jobs of the arrays before."""
    limit = "" if submission.scale is None else f"%{submission.scale}"
    words = ["sbatch", "--parsable", f"--array=0-{array.count - 1}{limit}"]
    if array.after:
        jobs = ":".join(ids[place] if task is None else f"{ids[place]}_{task}" for place, task in array.after)
        # A task waits for its twin, or, as Slurm has this only for one that ends with 0, for the end of all.
        twin = f"aftercorr:{jobs}?" if array.paired else ""
        words.append(f"--dependency={twin}afterany:{jobs}")
    return [*words, f"{submission.folder}/{SCRIPT}", str(array.first)]


def _longest_array() -> int:
    """Ask Slurm how many tasks an array may have."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", _call("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(match[1])) if match else _MANY_TASKS


def _ids(handed: Handed) -> list[str]:
    return [job for job in handed.jobs if _ID.fullmatch(job)]


def _squeue(jobs: Sequence[str]) -> str:
    """Return what squeue says of these jobs; "" if it knows none of them."""
    if not jobs:
        return ""
    try:
        return _call("squeue", "-h", "-a", "-o", COLUMNS, "-j", ",".join(jobs))
    except EngineError as error:
        if "Invalid job id" not in str(error):  # its answer to a single id that it has forgotten
            raise
        return ""


def _is_script(command: str, folder: str) -> bool:
    """Return whether a job's command is the script in a submission's folder with its argument, `…/job.sh 0`."""
    above, name = os.path.split(command.rpartition(" ")[0])
    with suppress(OSError, ValueError):
        return name in (SCRIPT, END) and (above == folder or os.path.samefile(above, folder))
    return False


def _job_id(answer: str) -> str:
    """Return the id in what `sbatch --parsable` says: `id` or `id;cluster`."""
    id_ = answer.strip().rpartition("\n")[2].partition(";")[0]
    if not _ID.fullmatch(id_):
        raise EngineError(f"sbatch: expected the id of a job, found {answer.strip()!r}")
    return id_


def _call(*words: str) -> str:
    return call_program(*words, missing="the engine slurm works where Slurm's commands are installed")
