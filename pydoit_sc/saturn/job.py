"""A submission to Saturn Cloud: from a batch and a recipe to chunks, staged folders and the recipe that runs them.

Nothing is written or sent by `prepare`; then folders are staged, and last the local commands directory is written.
"""

from __future__ import annotations

import copy
import os
import posixpath
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydoit_sc.batch import Batch, Status
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.batchfile.tables import SyncTable
from pydoit_sc.plan import Ledger
from pydoit_sc.saturn import commands
from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.errors import NotFoundError, RecipeError, SaturnError
from pydoit_sc.saturn.models import Recipe, resource_id
from pydoit_sc.saturn.script import set_block
from pydoit_sc.saturn.table import SaturnTable
from pydoit_sc.submissions.choose import (
    Choice,
    Item,
    Shape,
    Wanted,
    choose,
    chunk_texts,
    covers,
    new_submission,
    same_plan,
)
from pydoit_sc.sync.upload import Archive, FileSync, find, inside, parse_sync, stage

#: Where chunks lie on this machine, and each submission's own folder of them on the workers.
COMMANDS = "/tmp/commands"

#: A job with one of these statuses is at work, or will be.
ACTIVE = frozenset({"pending", "running", "stopping"})

Say = Callable[[str], object]


def connect() -> SaturnClient:
    """Return a client for the Saturn Cloud that the environment names; raise AccountError."""
    return SaturnClient(Account.from_env())


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the job is to be, beside what its batch says; None leaves it to the recipe."""

    recipe: str  # the path of a file
    name: str | None = None
    owner: str | None = None
    instance_type: str | None = None
    nprocs: int | None = None
    scale: int | None = None
    batch_size: int | None = None
    syncs: tuple[tuple[str, str], ...] = ()  # SRC[:DEST], and the folder that SRC counts from
    exclude: tuple[str, ...] = ()  # patterns of a .gitignore
    base_url: str | None = None  # where archives are staged
    local: str = COMMANDS
    remote: str | None = None  # the folder of the chunks on the workers; one of the submission's own if None
    worker: str = "pydoit-sc"
    worker_install: str = ""
    start: bool = False


def wishes_of(batch: Batch, recipe: str | None = None) -> Wishes:
    """Return what a batchfile's `[saturn]` table asks for, with another recipe if one is given."""
    table, common = batch.table("saturn", SaturnTable), batch.table("sync", SyncTable)
    folder = str(batch.folder)
    file = recipe or os.path.join(folder, table.recipe or "")
    if recipe is None and table.recipe is None:
        there = "saturn" in batch.tables
        missing = "[saturn] has no `recipe`" if there else "there is no table [saturn] with a `recipe`"
        raise SaturnError(f"{batch.path}: {missing}, the path of a job's recipe (`pydoit-sc get job NAME`)")
    url, local = table.file_syncs_base_dir_url or common.to, table.commands_directory
    if "saturn" in batch.tables and local is None:
        local = posixpath.join(".pydoit_sc", "commands")
    return Wishes(
        file,
        name=table.name,
        owner=table.owner,
        instance_type=table.instance_type,
        scale=batch.scale,
        batch_size=batch.batch_size,
        syncs=tuple((text, folder) for text in (*common.dirs, *table.sync)),
        exclude=(*common.exclude, *table.exclude),
        base_url=None if url is None else _url(url, folder),
        local=os.path.join(folder, local) if local else COMMANDS,
        worker=table.worker,
        worker_install=table.worker_install,
        start=table.start,
    )


def _url(url: str, folder: str) -> str:
    try:
        return absolute_url(url, folder)
    except ValueError as error:
        raise SaturnError(f"file_syncs_base_dir_url: {error}") from error


def described(wishes: Wishes, say: Say) -> Recipe:
    """Return the recipe as the wishes change it; raise RecipeError."""
    recipe = recipes.read(wishes.recipe)
    spec = recipe["spec"]
    if recipe.get("type", "job") != "job":
        raise RecipeError(
            f"{wishes.recipe}: the recipe of a {str(recipe['type'])[:60]}, expected that of a job; "
            "`pydoit-sc clone` makes one of it"
        )
    if wishes.instance_type is None:
        if not isinstance(spec.get("instance_type"), str):
            raise RecipeError(f"{wishes.recipe}: `spec` has no `instance_type`; --instance-type gives one")
        say(f"using {spec['instance_type']} instance from recipe")
    else:
        say(f"using {wishes.instance_type} instance")
        spec["instance_type"] = wishes.instance_type
    if wishes.name is not None:
        say(f"setting name to {wishes.name}")
        spec["name"] = wishes.name
    if not isinstance(spec.get("name"), str):
        raise RecipeError(f"{wishes.recipe}: `spec` has no `name`; --name gives one")
    if wishes.owner is not None:
        spec["owner"] = wishes.owner
    if wishes.scale is None:
        say(f"using scale of {spec.get('scale', 1)} from the recipe")
    else:
        say(f"setting scale to {wishes.scale}")
        spec["scale"] = wishes.scale
    return recipe


def processes(wishes: Wishes, batch: Batch, instance_type: str, say: Say) -> int:
    """Return how many runs execute at once: as was asked, as the batch says, or as the instance type is made for.

    Saturn Cloud is asked only for the last.
    """
    asked = wishes.nprocs or batch.nprocs
    if isinstance(asked, int):
        return asked
    with connect() as client:
        size = client.size(instance_type)
    if asked == "gpus" and not size.gpu:
        raise SaturnError(f'nprocs = "gpus", but the instance type `{instance_type}` has none')
    if size.gpu and asked != "cores":
        say(f"defaulting nprocs to GPU: {size.gpu}")
        return size.gpu
    say(f"defaulting nprocs to vCPU: {size.cores}")
    return size.cores


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that is ready to be staged and written."""

    id: str
    wishes: Wishes
    recipe: Recipe  # the job's, but for its command and its generated block
    chunks: Sequence[str]  # texts
    syncs: Sequence[FileSync]  # the user's
    remote: str  # the folder of the chunks on the workers
    outputs: str  # the batch's `remote_output_path`
    options: dict[str, Any]  # fsspec's, of the staging area: {} where it is not where the outputs are

    def base_url(self) -> str:
        """Return where archives are staged; Saturn Cloud is asked who the user is if nobody has said where."""
        if self.wishes.base_url is not None:
            return self.wishes.base_url
        with connect() as client:
            return client.default_sync_url(self.recipe["spec"]["name"])

    def stage(self, sync: FileSync, base_url: str) -> Archive:
        """Archive and send one of the user's folders; raise SyncError."""
        return stage(sync, base_url, self._patterns(sync, base_url), self.options)

    def find(self, sync: FileSync, base_url: str) -> Archive | None:
        """Return where one of the user's folders is staged already; raise SyncError."""
        return find(sync, base_url, self._patterns(sync, base_url), self.options)

    def stage_commands(self, base_url: str) -> Archive:
        """Archive and send the chunks."""
        with tempfile.TemporaryDirectory(prefix="pydoit-sc-") as folder:
            commands.write_folder(folder, self.chunks)
            return stage(FileSync(folder, self.remote), base_url, (), self.options)

    def _patterns(self, sync: FileSync, base_url: str) -> list[str]:
        """Return what is left out of a folder: outputs and archives in it too, which change while nothing else does."""
        paths = (inside(url, sync.source) for url in (self.outputs, base_url))
        return [*(path for path in paths if path), *self.wishes.exclude]

    def finished(self, staged: Sequence[Archive]) -> Recipe:
        """Return the recipe of the job: with its commands, and a start script that fetches what was staged."""
        recipe = copy.deepcopy(self.recipe)
        paths = (posixpath.join(self.remote, commands.chunk_name(n)) for n in range(len(self.chunks)))
        recipe["spec"]["command"] = [f"{self.wishes.worker} batch {shlex.quote(path)}" for path in paths]
        set_block(recipe, staged, self.wishes.worker_install)
        return recipe

    @property
    def recipe_file(self) -> str:
        """Where the recipe is written."""
        return os.path.join(self.wishes.local, commands.RECIPE)


def prepare(wishes: Wishes, recipe: Recipe, batch: Batch, items: Sequence[Item], shape: Shape) -> Submission:
    """Return the submission of these runs, with a new id."""
    id_ = new_submission()
    chunks = chunk_texts(batch, items, shape, id_)
    commands.check_folder(wishes.local, chunks)
    return of_chunks(wishes, recipe, batch, id_, chunks)


def of_chunks(wishes: Wishes, recipe: Recipe, batch: Batch, id_: str, chunks: Sequence[str]) -> Submission:
    """Return the submission of these chunks; raises SyncError for a folder that is not to be synced so."""
    working = recipe["spec"].get("working_directory")
    syncs = [parse_sync(text, working, folder) for text, folder in wishes.syncs]
    remote = parse_sync(f".:{wishes.remote or posixpath.join(COMMANDS, id_)}", working).dest
    return Submission(
        id_, wishes, recipe, chunks, syncs, remote, batch.remote_output_path, _staging_options(batch, wishes)
    )


def unless_changed(new: Submission) -> Submission:
    """Return the submission that is in the local commands directory if it is of the same plan, else the new one."""
    found = commands.present(new.wishes.local)
    if found is None or not same_plan(found[1], new.chunks):
        return new
    remote = new.remote if new.wishes.remote else posixpath.join(COMMANDS, found[0])
    return replace(new, id=found[0], chunks=found[1], remote=remote)


def stage_all(submission: Submission, say: Say) -> list[Archive]:
    """Send the user's folders, then the chunks."""
    base_url = submission.base_url()
    staged = []
    for sync in submission.syncs:
        say(f"syncing {sync.source}")
        staged.append(submission.stage(sync, base_url))
        again = "" if staged[-1].uploaded else ", which is there already"
        say(f"synced {sync.source} to {staged[-1].url}{again}")
    return [*staged, submission.stage_commands(base_url)]


def write(submission: Submission, recipe: Recipe) -> None:
    """Write the chunks, then the recipe, into the local commands directory; an unchanged one stays untouched."""
    found = commands.present(submission.wishes.local)
    if found is None or found[1] != list(submission.chunks):
        commands.write_chunks(submission.wishes.local, submission.chunks)
    recipes.write(recipe, submission.recipe_file)


def _staging_options(batch: Batch, wishes: Wishes) -> dict[str, Any]:
    scheme = batch.remote_output_path.partition("://")[0]
    same = wishes.base_url is not None and wishes.base_url.startswith(f"{scheme}://")
    return dict(batch.storage_options) if same else {}


def assemble(
    ledger: Ledger, wanted: Wanted, wishes: Wishes, say: Say, *, keep: bool = False
) -> tuple[Choice, Submission]:
    """Return which runs are scheduled, and their submission; nothing has been written or sent.

    With `keep` it is the one in the local commands directory if that has all these runs: while its chunks are executed.
    """
    batch = ledger.batch
    say(f"reading {wishes.recipe}")
    recipe = described(wishes, say)
    nprocs = processes(wishes, batch, recipe["spec"]["instance_type"], say)
    say("splitting")
    choice = choose(ledger, wanted)
    _tell(choice, wanted, say)
    size = wishes.batch_size or 3 * nprocs
    how = "using" if wishes.batch_size else "defaulting to"
    say(f"{how} a batch size of {'' if wishes.batch_size else '3 * nprocs = '}{size}")
    shape = Shape(nprocs, size, always=wanted.completed)
    if keep and (found := commands.present(wishes.local)) and covers(found[1], ledger, choice.items, shape):
        return choice, of_chunks(wishes, recipe, batch, *found)
    return choice, prepare(wishes, recipe, batch, choice.items, shape)


def _tell(choice: Choice, wanted: Wanted, say: Say) -> None:
    words = {
        Status.INCOMPLETE: ("incomplete", True),
        Status.ERROR: ("failed", wanted.failures),
        Status.COMPLETED: ("completed", wanted.completed),
    }
    for status, count in choice.found.items():
        word, included = words[status]
        say(f"{'including' if included else 'skipping'} {count} {word} runs")
    if not choice.found:
        say(f"including {choice.scheduled} runs")
    if wanted.at_most is not None:
        say(f"found {choice.scheduled}. Only keeping {wanted.at_most}")
    for name, before in choice.waiting.items():
        say(f"`{name}` comes after `{before}`: split again when that is completed")


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
        found = client.get_recipe(recipe.get("type", "job"), spec["name"], spec.get("owner"))
    except NotFoundError:
        return ""
    return str((found.get("state") or {}).get("status") or "")


def check_idle(recipe: Recipe) -> None:
    """Raise SaturnError if the job is at work: it would neither start again nor take the new chunks."""
    with connect() as client:
        status = status_of(client, recipe)
    if status in ACTIVE:
        name = recipe["spec"]["name"]
        raise SaturnError(
            f"the job `{name}` is {status}; wait for its end, end it by `pydoit-sc stop job {name}`, "
            "or give the new one another `name`"
        )
