"""The engine `saturn`: a submission is one start of a Saturn Cloud job, whose recipe executes its chunks."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Mapping, Sequence

from pydoit_sc.batch import Batch
from pydoit_sc.engines.base import EngineError, JobState, State, Submission
from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.errors import NotFoundError, SaturnError
from pydoit_sc.saturn.job import (
    ACTIVE,
    apply,
    check_idle,
    connect,
    described,
    of_chunks,
    processes,
    stage_all,
    status_of,
    wishes_of,
)
from pydoit_sc.saturn.models import Recipe, resource_id
from pydoit_sc.saturn.table import SaturnTable

RECIPE = "recipe.yaml"
_TO_START = 60.0  # seconds in which a job that was started may still be called by its old status


class Saturn:
    """A job of Saturn Cloud."""

    name = "saturn"
    table = SaturnTable
    ordered = False
    sends_code = True

    def nprocs(self, batch: Batch) -> int | None:
        """Return what the batch says, or what the instance type is made for; raises SaturnError."""
        wishes = wishes_of(batch)
        return processes(wishes, batch, described(wishes, _quiet)["spec"]["instance_type"], print)

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Send the code and the chunks, and return the job's recipe; raises SaturnError, also if it is at work."""
        wishes = wishes_of(submission.batch)
        recipe = described(wishes, print)
        check_idle(recipe)
        job = of_chunks(wishes, recipe, submission.batch, submission.id, submission.texts)
        return {RECIPE: recipes.dumps(job.finished(stage_all(job, print)))}

    def submit(self, submission: Submission) -> Sequence[str]:
        """Apply the recipe and start the job; raises SaturnError."""
        recipe = recipes.read(os.path.join(submission.folder, RECIPE))
        with connect() as client:
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


def _recipe(job: str) -> Recipe:
    known = json.loads(job)
    return {"spec": {"name": known["name"], "owner": known["owner"]}}


def _state(client: SaturnClient, job: str) -> JobState:
    """Return how a job stands; one that was just started keeps its old status for a moment."""
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


def _quiet(_: str) -> None:
    """Say nothing: it is said when the recipe is made."""
