"""`split`: a batch to chunks, and the recipe or manifest of the job that executes them."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Batch, Status
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.commands.base import OPT_ALWAYS, OPT_BASE_URL, OPT_SYNC, Command
from pydoit_sc.commands.parsing import flag, option, parse_choice, parse_count
from pydoit_sc.engines.registry import load_engine
from pydoit_sc.engines.saturn import COMMANDS as LOCAL_COMMANDS
from pydoit_sc.engines.saturn import RECIPE, Saturn
from pydoit_sc.ledger import Ledger
from pydoit_sc.plurals import counted
from pydoit_sc.positions import moved
from pydoit_sc.project import Project
from pydoit_sc.saturn.job import check_written, recipe_file
from pydoit_sc.saturn.table import SaturnTable
from pydoit_sc.show.progress import moved_words
from pydoit_sc.submissions.choose import Choice, Wanted, choose, left_words
from pydoit_sc.submissions.cut import Shape, same_plan
from pydoit_sc.submissions.draft import Draft, commands_folder, make_draft, shape_of
from pydoit_sc.submissions.folder import check_folder, present, write_chunks, write_files
from pydoit_sc.submissions.handover import put
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

#: What only a job of Saturn Cloud has.
_OF_SATURN = (
    "name",
    "instance_type",
    "local_commands_directory",
    "sync",
    "remote_commands_directory",
    "file_syncs_base_dir_url",
)


class SplitCommand(Command):
    """Write chunks and a recipe or a manifest."""

    name = "split"
    doc_usage = "[RECIPE BATCH]"
    doc_description = (
        "RECIPE is a job's recipe (`get job NAME`), BATCH a run list or a batchfile. Without them: this folder's "
        "batchfile, with the recipe and all else that its table [saturn] names. With --engine kubernetes: BATCH alone.\n"
        "\n"
        "All runs of a run list are scheduled unless --skip-completed or --skip-failures is given. Stages that come "
        "after another one wait for a later split.\n"
        "\n"
        "--engine kubernetes writes the chunks into the store, and the manifest of a Kubernetes job as this folder's "
        "batchfile and its table [kubernetes] say; `submit --engine kubernetes` does so and creates the job."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        option(
            "engine",
            "what is written: saturn, a recipe, or kubernetes, a manifest [default: %(default)s]",
            default="saturn",
        ),
        option("name", "of the job [default: the recipe's]"),
        option("instance_type", "of the machines [default: the recipe's]; `options` lists them"),
        option("nprocs", "runs at once on a machine [default: the batch's, else the GPUs or cores]"),
        option("scale", "machines [default: the recipe's]"),
        option(
            "local_commands_directory", f"where chunks and recipe are written [default: {LOCAL_COMMANDS}]"
        ),
        option("batch_size", "runs in a chunk [default: 3 × nprocs]"),
        OPT_SYNC,
        option(
            "remote_commands_directory",
            f"where the machines have the chunks [default: {LOCAL_COMMANDS}/, a folder of each split's own]",
        ),
        flag("skip_completed", "leave out runs that are completed"),
        flag("skip_failures", "leave out runs that have failed"),
        OPT_ALWAYS,
        option("max_jobs", "how many runs are scheduled at most; 0 or -1: all [default: all]"),
        OPT_BASE_URL,
    )

    first_is_batch = False

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Stage the folders, write the chunks and the recipe, and say where."""
        if options["always"] and options["skip_completed"]:
            raise InvalidCommand("split: expected one of --always and --skip-completed, found both")
        if parse_choice(options["engine"], ("saturn", "kubernetes"), "--engine") == "kubernetes":
            if words:
                options["batchfile"] = self.one(words, "a BATCH")
                self.refuse_another_batch(options["batchfile"])
            return _write_manifest(options)
        recipe = None
        if words:
            recipe, options["batchfile"] = self.each(words, "RECIPE BATCH")
            self.refuse_another_batch(options["batchfile"])
        return _write_recipe(options, recipe)


def _write_recipe(options: dict[str, Any], recipe: str | None) -> int:
    if file := options["batchfile"]:
        print(f"reading {file}")
    read = open_project(options)
    project = Project(_for_saturn(read.batch, options, recipe))
    print(f"reading {recipe or recipe_file(project.batch)}")
    engine = Saturn(options["remote_commands_directory"], print)
    usual = commands_folder(engine, read.batch) if "saturn" in read.batch.tables else LOCAL_COMMANDS
    folder = options["local_commands_directory"] or usual
    shape, wanted = shape_of(engine, project.batch, always=False), _wanted(project, options)
    print("splitting")
    ledger = _ledger(project, wanted)
    choice = choose(ledger, wanted, project.batch.stages)
    _tell_moved(ledger)
    _tell(choice, wanted)
    _tell_size(project.batch, shape)
    if not choice.works and recipe is None:
        print("nothing to execute, nothing written")
        return 0
    draft = make_draft(engine, ledger, choice, replace(shape, always=wanted.completed))
    _tell_packed(draft)
    path = os.path.join(folder, RECIPE)
    check_folder(folder, len(draft.texts), read.batch.files)
    check_written(path, project.batch)
    found = present(folder)
    if not wanted.completed and found and same_plan(found[1], draft.texts):
        draft = draft.keeping(*found)
    ready = draft.ready(draft.stage(print))
    if found is None or found[1] != draft.texts:
        write_chunks(folder, draft.texts)
    write_files(folder, ready.files)
    next_ = f"next: pydoit-sc apply {shlex.quote(path)} --start" if draft.texts else "nothing to execute"
    print(f"wrote {counted(len(draft.texts), 'chunk')} and {path}; {next_}")
    return 0


def _write_manifest(options: dict[str, Any]) -> int:
    for name in _OF_SATURN:
        if options[name]:
            raise InvalidCommand(f"split: --{name.replace('_', '-')} is for Saturn Cloud, not for Kubernetes")
    read = open_project(options)
    batch = read.batch._replace(**_numbers(options, "scale", "batch_size"))
    for nprocs in _numbers(options, "nprocs").values():
        batch = batch.with_nprocs(nprocs)
    project, engine = Project(batch), load_engine("kubernetes")
    wanted = _wanted(project, options)
    project.needs_verdicts_only = not wanted.completed
    choice = choose(project.ledger, wanted, project.batch.stages)
    _tell_moved(project.ledger)
    _tell_waiting(choice)
    if not choice.works:
        print("nothing to execute, nothing written")
        return 0
    shape = shape_of(engine, project.batch, always=wanted.completed)
    draft = make_draft(engine, project.ledger, choice, shape)
    _tell_packed(draft)
    ready = draft.ready(draft.stage(print))
    put(project.store, ready)
    submission = ready.submission
    files = shlex.join(os.path.join(submission.folder, name) for name in ready.files)
    print(
        f"wrote {counted(len(submission.texts), 'chunk')} to {submission.chunks}/ and {files}; "
        f"next: kubectl create -f {files}"
    )
    return 0


def _numbers(options: dict[str, Any], *names: str) -> dict[str, Any]:
    given = {name: parse_count(options[name], f"--{name.replace('_', '-')}") for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _for_saturn(batch: Batch, options: dict[str, Any], recipe: str | None) -> Batch:
    """Return the batch with what the options say in place of its table [saturn]; their paths count from here."""
    table = batch.table("saturn", SaturnTable)
    url = options["file_syncs_base_dir_url"]
    given = {
        "recipe": None if recipe is None else os.path.abspath(recipe),
        "name": options["name"],
        "instance_type": options["instance_type"],
        "file_syncs_base_dir_url": None if url is None else _url(url),
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes["sync"] = (*table.sync, *(_from_here(text, batch) for text in options["sync"]))
    kept = "saturn" in batch.tables or recipe is not None
    tables = {**batch.tables, "saturn": table.model_copy(update=changes)} if kept else batch.tables
    return batch._replace(tables=tables, **_numbers(options, "nprocs", "scale", "batch_size"))


def _url(url: str) -> str:
    try:
        return absolute_url(url, os.getcwd())
    except ValueError as error:
        raise InvalidCommand(f"--file-syncs-base-dir-url: {error}") from error


def _from_here(text: str, batch: Batch) -> str:
    """Return `SRC[:DEST]` with a SRC that counts from the batchfile's folder, not from here."""
    source, colon, dest = text.partition(":")
    if not source or ":" in dest or (colon and not dest):
        return text  # which is refused when it is read
    return f"{os.path.relpath(source, batch.folder)}:{dest or source}"


def _wanted(project: Project, options: dict[str, Any]) -> Wanted:
    """Return which runs are scheduled: of a run list all, of a batchfile those that are not completed."""
    most = options["max_jobs"]  # 0 and -1: all, as in the seed's client
    return Wanted(
        completed=options["always"] or (project.batch.is_list and not options["skip_completed"]),
        failures=not options["skip_failures"],
        at_most=None if most in ("0", "-1") else parse_count(most, "--max-jobs"),
    )


def _ledger(project: Project, wanted: Wanted) -> Ledger:
    """Return the batch's ledger; the store is read only if the status of runs makes a difference."""
    if wanted.everything:
        return Ledger(project.batch, {}, ignored=project.ignored)
    print(f"gathering existing run status from {project.batch.remote_output_path}/")
    project.needs_verdicts_only = not wanted.completed
    return project.ledger


def _tell(choice: Choice, wanted: Wanted) -> None:
    words = {Status.INCOMPLETE: "incomplete", Status.ERROR: "failed", Status.COMPLETED: "completed"}
    for status, count in choice.found.items():
        print(f"{'including' if wanted.takes(status) else 'skipping'} {count} {words[status]} runs")
    if not choice.found:
        print(f"including {choice.scheduled} runs")
    if wanted.at_most is not None:
        print(f"found {choice.scheduled}. Only keeping {wanted.at_most}")
    _tell_waiting(choice)


def _tell_waiting(choice: Choice) -> None:
    if choice.ignored:
        print(f"skipping {choice.ignored} ignored runs")
    for stage, left in choice.waiting.items():
        print(f"{left_words(stage, left)}: split again when that is completed")


def _tell_moved(ledger: Ledger) -> None:
    if strange := moved(ledger, ledger.batch.stages):
        print(f"warning: {moved_words(strange)}")


def _tell_size(batch: Batch, shape: Shape) -> None:
    if batch.batch_size:
        print(f"using a batch size of {shape.size}")
    else:
        print(f"defaulting to a batch size of 3 * nprocs = {shape.size}")


def _tell_packed(draft: Draft) -> None:
    if count := draft.forecast.durations:
        print(f"packing the chunks by {count:,} past durations")
