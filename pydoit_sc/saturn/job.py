"""The job of a submission in Saturn Cloud: its recipe, and the calls that create, start and look at it."""

from __future__ import annotations

import copy
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydoit_sc.batch import Batch
from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.errors import NotFoundError, RecipeError, SaturnError
from pydoit_sc.saturn.models import Recipe, resource_id
from pydoit_sc.saturn.script import BEGIN, set_block
from pydoit_sc.saturn.table import SaturnTable
from pydoit_sc.sync.upload import Archive, parse_sync

#: A job with one of these statuses is at work, or will be.
ACTIVE = frozenset({"pending", "running", "stopping"})

Say = Callable[[str], object]


def connect() -> SaturnClient:
    """Return a client for the Saturn Cloud that the environment names; raise AccountError."""
    return SaturnClient(Account.from_env())


def recipe_file(batch: Batch) -> str:
    """Return the path of the recipe that the table [saturn] names; raise SaturnError if it names none."""
    table = batch.table("saturn", SaturnTable)
    if table.recipe is None:
        there = "saturn" in batch.tables
        missing = "[saturn] has no `recipe`" if there else "there is no table [saturn] with a `recipe`"
        raise SaturnError(f"{batch.path}: {missing}, the path of a job's recipe (`pydoit-sc get job NAME`)")
    return os.path.join(batch.folder, table.recipe)


def said(table: Mapping[str, Any], key: str, default: object = None) -> Any:
    """Return a value of a recipe; an empty one counts as none, as Saturn Cloud takes it.

    >>> said({"type": None}, "type", "job"), said({"type": "workspace"}, "type", "job")
    ('job', 'workspace')
    """
    found = table.get(key)
    return default if found in (None, "") else found


def read_recipe(batch: Batch, say: Say = lambda _: None) -> Recipe:
    """Return the job's recipe, changed as the batchfile says; raise RecipeError."""
    file, table = recipe_file(batch), batch.table("saturn", SaturnTable)
    recipe = recipes.read(file)
    spec = recipe["spec"]
    if said(recipe, "type", "job") != "job":
        raise RecipeError(
            f"{file}: the recipe of a {str(recipe['type'])[:60]}, expected that of a job; "
            "`pydoit-sc clone` makes one of it"
        )
    if table.instance_type is None:
        if not isinstance(said(spec, "instance_type"), str):
            raise RecipeError(f"{file}: `spec` has no `instance_type`; --instance-type gives one")
        say(f"using {spec['instance_type']} instance from recipe")
    else:
        say(f"using {table.instance_type} instance")
        spec["instance_type"] = table.instance_type
    if table.name is not None:
        say(f"setting name to {table.name}")
        spec["name"] = table.name
    if not isinstance(said(spec, "name"), str):
        raise RecipeError(f"{file}: `spec` has no `name`; --name gives one")
    if table.owner is not None:
        spec["owner"] = table.owner
    if batch.scale is None:
        say(f"using scale of {said(spec, 'scale', 1)} from the recipe")
    else:
        say(f"setting scale to {batch.scale}")
        spec["scale"] = batch.scale
    return recipe


def check_written(path: str, batch: Batch) -> None:
    """Raise RecipeError if a recipe of `split` must not be written here: this is the job's own, or is no recipe of `split`."""
    if not os.path.lexists(path):
        return
    if os.path.exists(path) and os.path.samefile(path, recipe_file(batch)):
        what = "the recipe that is read"
    elif not _is_of_split(path):
        what = "not a recipe of `split`"
    else:
        return
    raise RecipeError(f"{path}: {what}, so it is not overwritten; give another --local-commands-directory")


def _is_of_split(path: str) -> bool:
    """Return whether a file is a recipe that `split` has made, ours or that of `sc`: it has the lines that fetch the chunks."""
    try:
        script = recipes.read(path)["spec"].get("start_script")
    except RecipeError:
        return False
    return isinstance(script, str) and BEGIN in script


def count_processes(batch: Batch, instance_type: str, say: Say) -> int:
    """Return how many runs execute at once: as the batch says, or as many as the instance type has GPUs or cores.

    Only then Saturn Cloud is asked.
    """
    if isinstance(batch.nprocs, int):
        return batch.nprocs
    with connect() as client:
        size = client.size(instance_type)
    if batch.nprocs == "gpus" and not size.gpu:
        raise SaturnError(f'nprocs = "gpus", but the instance type `{instance_type}` has none')
    if size.gpu and batch.nprocs != "cores":
        say(f"defaulting nprocs to GPU: {size.gpu}")
        return size.gpu
    say(f"defaulting nprocs to vCPU: {size.cores}")
    return size.cores


def with_submission(
    recipe: Recipe, table: SaturnTable, chunks: Sequence[str], archives: Sequence[Archive]
) -> Recipe:
    """Return the recipe that executes these chunks (paths on the machines), whose start script fetches the archives."""
    made = copy.deepcopy(recipe)
    made["spec"]["command"] = [f"{table.worker} batch {shlex.quote(path)}" for path in chunks]
    set_block(made, archives, table.worker_install)
    return made


def chunks_folder(recipe: Recipe, folder: str) -> str:
    """Return a folder on the machines as an absolute path; a relative one counts from where the job works."""
    return parse_sync(f".:{folder}", recipe["spec"].get("working_directory")).dest


def apply(recipe: Recipe, say: Say, *, start: bool) -> Recipe:
    """Create or update the resource, start it if asked and if it has commands, and return its recipe."""
    with connect() as client:
        applied = client.apply(recipe)
        spec = applied["spec"]
        what = f"{applied['type']} {spec.get('name')} for {spec.get('owner')}"
        say(f"Applied {what} from recipe")
        if start and recipe["spec"].get("command") == []:
            say("not started: there is nothing to execute")
        elif start:
            client.start(applied["type"], resource_id(applied))
            say(f"Started {what}")
    return applied


def status_of(client: SaturnClient, recipe: Recipe) -> str:
    """Return the status of a recipe's resource; "" if there is none yet."""
    spec = recipe["spec"]
    try:
        found = client.get_recipe(said(recipe, "type", "job"), spec["name"], spec.get("owner"))
    except NotFoundError:
        return ""
    return str((found.get("state") or {}).get("status") or "")


def check_idle(client: SaturnClient, recipe: Recipe) -> None:
    """Raise SaturnError if the job is at work: it would neither start again nor take the new chunks."""
    status = status_of(client, recipe)
    if status in ACTIVE:
        name = recipe["spec"]["name"]
        raise SaturnError(
            f"the job `{name}` is {status}; wait for its end, end it by `pydoit-sc stop job {name}`, "
            "or give the new one another `name`"
        )
