"""The engine `saturn`: a submission is one start of a Saturn Cloud job, whose recipe executes its chunks."""

from __future__ import annotations

import json
import os
import posixpath
import shlex
import time
from collections.abc import Mapping, Sequence

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.batchfile.tables import SyncTable
from pydoit_sc.engines.base import EngineError, JobState, State, Submission
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
from pydoit_sc.sync.code import Staging, options_for
from pydoit_sc.sync.upload import parse_sync

RECIPE = "recipe.yaml"

#: The folder of `sc` for chunks, here and on the machines, where each submission has a folder of its own in it.
COMMANDS = "/tmp/commands"

_TO_START = 60.0  # seconds in which a job that was started may still be called by its old status


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
        job = {
            "name": spec["name"],
            "owner": spec.get("owner"),
            "before": state.get("status"),
            "last": last,
            "at": time.time(),
        }
        return [json.dumps(job)]

    def poll(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Ask for the status of each job: a submission has one."""
        try:
            with connect() as client:
                return {job: _state(client, job) for job in jobs}
        except SaturnError as error:
            raise EngineError(str(error)) from error

    def cancel(self, jobs: Sequence[str]) -> None:
        """Stop the jobs."""
        with connect() as client:
            for job in jobs:
                spec = _recipe(job)["spec"]
                found = client.get_recipe("job", spec["name"], spec["owner"])
                if (found.get("state") or {}).get("status") in ACTIVE:
                    client.stop(found["type"], resource_id(found))

    def hints(self, submission: str, jobs: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """Return how the job's output is shown."""
        (spec,) = (_recipe(job)["spec"] for job in jobs)
        owner = f" --owner {shlex.quote(spec['owner'])}" if spec["owner"] else ""
        return {"what the job writes": f"pydoit-sc job-logs {shlex.quote(spec['name'])}{owner} --all"}


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


def _recipe(job: str) -> Recipe:
    known = json.loads(job)
    return {"spec": {"name": known["name"], "owner": known["owner"]}}


def _state(client: SaturnClient, job: str) -> JobState:
    """Return the state of a job; one that was just started keeps its old status for a moment."""
    known, recipe = json.loads(job), _recipe(job)
    status = status_of(client, recipe)
    if status in ACTIVE:
        return JobState(State.QUEUED if status == "pending" else State.RUNNING, status)
    doubtful = status == known["before"] and time.time() < known["at"] + _TO_START
    starting = doubtful and _last_machine(client, recipe) == known["last"]
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
