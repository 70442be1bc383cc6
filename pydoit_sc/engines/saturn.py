"""The engine `saturn`: a submission is one start of a Saturn Cloud job, whose recipe executes its chunks."""

from __future__ import annotations

import os
import posixpath
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.batchtables import SyncTable
from pydoit_sc.batchfile.errors import show
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.engines.base import EngineError, Handed, JobState, State, Submission, check_reached
from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.errors import NotFoundError, SaturnError
from pydoit_sc.saturn.job import (
    ACTIVE,
    Say,
    apply,
    check_idle,
    chunks_folder,
    connect,
    count_processes,
    read_recipe,
    status_of,
    with_submission,
)
from pydoit_sc.saturn.models import Recipe, resource_id
from pydoit_sc.saturn.table import SaturnTable
from pydoit_sc.store.stamps import StoredDocument, read
from pydoit_sc.sync.code import Staging, options_for
from pydoit_sc.sync.upload import parse_sync

RECIPE = "recipe.yaml"

#: The folder of `sc` for chunks, here and on the machines, where each submission has a folder of its own in it.
COMMANDS = "/tmp/commands"

_TO_START = 60.0  # seconds in which a job that was started may still be called by its old status


class StartedJob(StoredDocument):
    """One start of a job: the id that a submission's note has of it."""

    name: str = Field(description="name of the job")
    owner: str | None = Field(default=None, description="who it belongs to")
    before: str | None = Field(default=None, description="its status before it was started")
    last: str = Field(description="the machine that it was given last before, if any")
    at: float = Field(description="when it was started, in seconds since the epoch")


def _quiet(_: str) -> None:
    pass


class Saturn:
    """A job of Saturn Cloud."""

    name = "saturn"
    table = SaturnTable
    ordered = False

    def __init__(self, remote: str | None = None, say: Say = _quiet) -> None:
        """Take the folder of the chunks on the machines, and what is told how the recipe is read."""
        self._remote, self._say = remote, say

    def nprocs(self, batch: Batch) -> int | None:
        """Return what the batch says, or what the instance type is made for; raises SaturnError."""
        recipe = read_recipe(batch, self._say)
        return count_processes(batch, recipe["spec"]["instance_type"], self._say)

    def staging(self, batch: Batch) -> Staging:
        """Return the folders of [sync] and [saturn]; Saturn Cloud is asked who the user is if no URL is given."""
        table, common = batch.table("saturn", SaturnTable), batch.table("sync", SyncTable)
        spec, folder = read_recipe(batch)["spec"], str(batch.folder)
        texts = (*common.dirs, *table.sync)
        syncs = [parse_sync(text, spec.get("working_directory"), folder) for text in texts]
        url = table.file_syncs_base_dir_url or common.to
        if url is None:
            with connect() as client:
                base = client.default_sync_url(spec["name"])
        else:
            base = _absolute(url, folder)
        exclude = (*common.exclude, *table.exclude)
        return Staging(syncs, base, batch.remote_output_path, exclude, options_for(batch, base))

    def chunks_folder(self, batch: Batch, submission: str) -> str:
        """Return the folder of the chunks on the machines."""
        return chunks_folder(read_recipe(batch), self._remote or posixpath.join(COMMANDS, submission))

    def commands_folder(self, batch: Batch) -> str | None:
        """Return the table's `commands_directory`."""
        return batch.table("saturn", SaturnTable).commands_directory

    def starts(self, batch: Batch) -> bool:
        """Return the table's `start`."""
        return batch.table("saturn", SaturnTable).start

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Return the job's recipe; raises RecipeError."""
        return {RECIPE: recipes.dumps(_recipe_of(submission))}

    def update(self, submission: Submission) -> None:
        """Apply the recipe; raises SaturnError."""
        apply(_recipe_of(submission), print, start=False)

    def submit(self, submission: Submission) -> Sequence[str]:
        """Apply the recipe and start the job; raises SaturnError, also if the job is at work."""
        recipe = recipes.read(os.path.join(submission.folder, RECIPE))
        with connect() as client:
            check_idle(client, recipe)
            last = _last_machine(client, recipe)
        applied = apply(recipe, print, start=True)
        spec, state = applied["spec"], applied.get("state") or {}
        started = StartedJob(
            name=spec["name"],
            owner=spec.get("owner"),
            before=state.get("status"),
            last=last,
            at=time.time(),
        )
        return [started.to_json().decode()]

    def poll(self, handed: Sequence[Handed]) -> Mapping[str, JobState]:
        """Ask for the status of each job that the batchfile's recipe is of: a submission has one."""
        try:
            jobs = [job for one in handed for job in _jobs(one)]
            states = {job: state for one in handed for job, state in _elsewhere(one).items()}
            if not jobs:
                return states
            with connect() as client:
                return states | {text: _state(client, started, recipe) for text, started, recipe in jobs}
        except SaturnError as error:
            raise EngineError(str(error)) from error

    def cancel(self, handed: Handed) -> None:
        """Stop the job that the batchfile's recipe is of."""
        with connect() as client:
            for _, _, recipe in _jobs(handed):
                spec = recipe["spec"]
                found = client.get_recipe("job", spec["name"], spec.get("owner"))
                if (found.get("state") or {}).get("status") in ACTIVE:
                    client.stop(found["type"], resource_id(found))
        check_reached(_elsewhere(handed))

    def hints(self, handed: Handed) -> Mapping[str, str]:
        """Return how the job's output is shown."""
        (job,) = (started for text in handed.jobs if (started := read(StartedJob, text.encode())))
        owner = f" --owner {shlex.quote(job.owner)}" if job.owner else ""
        return {"what the job writes": f"pydoit-sc job-logs {shlex.quote(job.name)}{owner} --all"}


def _recipe_of(submission: Submission) -> Recipe:
    batch = submission.batch
    chunks = [submission.chunk(number) for number in range(len(submission.texts))]
    table = batch.table("saturn", SaturnTable)
    return with_submission(read_recipe(batch), table, chunks, submission.archives)


def _absolute(url: str, folder: str) -> str:
    try:
        return absolute_url(url, folder)
    except ValueError as error:
        raise SaturnError(f"file_syncs_base_dir_url: {error}") from error


def _jobs(handed: Handed) -> Iterator[tuple[str, StartedJob, Recipe]]:
    """Yield a submission's jobs, and the recipe of each: only the batchfile's own; raises SaturnError."""
    recipe = read_recipe(handed.batch)
    for text, started in _started(handed):
        if started.name == recipe["spec"]["name"]:
            yield text, started, recipe


def _elsewhere(handed: Handed) -> dict[str, JobState]:
    """Return the states of a submission's jobs that the batchfile's recipe is not of; raises SaturnError."""
    name = read_recipe(handed.batch)["spec"]["name"]
    return {
        text: JobState(
            State.UNKNOWN, f"it is of the job {show(started.name)}, and the recipe is of {show(name)}"
        )
        for text, started in _started(handed)
        if started.name != name
    }


def _started(handed: Handed) -> Iterator[tuple[str, StartedJob]]:
    for text in handed.jobs:
        if (started := read(StartedJob, text.encode())) is not None:
            yield text, started


def _state(client: SaturnClient, started: StartedJob, recipe: Recipe) -> JobState:
    """Return the state of a job; one that was just started keeps its old status for a moment."""
    status = status_of(client, recipe)
    if status in ACTIVE:
        return JobState(State.QUEUED if status == "pending" else State.RUNNING, status)
    doubtful = status == started.before and time.time() < started.at + _TO_START
    starting = doubtful and _last_machine(client, recipe) == started.last
    return JobState(State.QUEUED if starting else State.ENDED, status)


def _last_machine(client: SaturnClient, recipe: Recipe) -> str:
    """Return what tells the machine that a job was given last from all others; "" if there was none."""
    spec = recipe["spec"]
    try:
        found = client.get_recipe("job", spec["name"], spec.get("owner"))
    except NotFoundError:
        return ""
    pods = client.pods("job", resource_id(found))
    return f"{pods[0].name} {pods[0].start_time}" if pods else ""
