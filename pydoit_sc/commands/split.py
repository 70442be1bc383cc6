"""`split`: a batch to chunks, and the recipe or manifest of the job that executes them."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.commands.base import OPT_ALWAYS, OPT_BASE_URL, OPT_REMOTE, OPT_SYNC, Command
from pydoit_sc.commands.parsing import parse_choice, parse_count
from pydoit_sc.engines.registry import load_engine
from pydoit_sc.plan import Ledger
from pydoit_sc.project import Project
from pydoit_sc.saturn.job import COMMANDS as LOCAL_COMMANDS
from pydoit_sc.saturn.job import Submission, Wishes, assemble, stage_all, unless_changed, wishes_of, write
from pydoit_sc.submissions.choose import Wanted, choose
from pydoit_sc.submissions.handover import make_draft, put
from pydoit_sc.tasks.loader import OPT_FILE


def _text(name: str, help_: str) -> dict[str, Any]:
    return {"name": name, "long": name.replace("_", "-"), "type": str, "default": None, "help": help_}


def _flag(name: str, help_: str) -> dict[str, Any]:
    return {"name": name, "long": name.replace("_", "-"), "type": bool, "default": False, "help": help_}


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
    doc_purpose = COMMANDS["split"].purpose
    doc_usage = "[RECIPE BATCH]"
    doc_description = (
        "RECIPE is a job's recipe (`get job NAME`), BATCH a run list or a batchfile. Without them: this folder's "
        "batchfile, with the recipe and all else that its table [saturn] names.\n"
        "\n"
        "All runs of a run list are scheduled unless --skip-completed or --skip-failures is given. Stages that come "
        "after another one wait for a later split.\n"
        "\n"
        "--engine kubernetes writes the chunks into the store, and the manifest of a Kubernetes job as this folder's "
        "batchfile and its table [kubernetes] say; `submit --engine kubernetes` does so and creates the job."
    )
    cmd_options = (
        OPT_FILE,
        {
            "name": "engine",
            "long": "engine",
            "type": str,
            "default": "saturn",
            "help": "what is written: saturn, a recipe, or kubernetes, a manifest [default: saturn]",
        },
        _text("name", "of the job [default: the recipe's]"),
        OPT_REMOTE,
        _text("instance_type", "of the machines [default: the recipe's]; `options` lists them"),
        _text("nprocs", "runs at once on a machine [default: the batch's, else the GPUs or cores]"),
        _text("scale", "machines [default: the recipe's]"),
        _text("local_commands_directory", f"where chunks and recipe are written [default: {LOCAL_COMMANDS}]"),
        _text("batch_size", "runs in a chunk [default: 3 × nprocs]"),
        OPT_SYNC,
        _text(
            "remote_commands_directory",
            f"where the machines have the chunks [default: {LOCAL_COMMANDS}/, a folder of each split's own]",
        ),
        _flag("skip_completed", "leave out runs that are completed"),
        _flag("skip_failures", "leave out runs that have failed"),
        OPT_ALWAYS,
        _text("max_jobs", "how many runs are scheduled at most"),
        OPT_BASE_URL,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Stage the folders, write the chunks and the recipe, and say where."""
        if parse_choice(options["engine"], ("saturn", "kubernetes"), "--engine") == "kubernetes":
            self.each(words, "")
            return _write_manifest(options)
        recipe, file = self.each(words, "RECIPE BATCH") if words else (None, options["batchfile"])
        if file:
            print(f"reading {file}")
        project = Project.load(file, remote_output_path=options["remote_output_path"] or None)
        wishes = _with_options(wishes_of(project.batch, recipe), options)
        wanted = wanted_runs(project, options)
        choice, submission = assemble(ledger_for(project, wanted, print), wanted, wishes, print)
        if not choice.items and recipe is None:
            print("nothing to execute, nothing written")
            return 0
        if not wanted.completed:
            submission = unless_changed(submission)
        finished = submission.finished(stage_all(submission, print))
        write(submission, finished)
        print(_written(submission))
        return 0


def _write_manifest(options: dict[str, Any]) -> int:
    for name in _OF_SATURN:
        if options[name]:
            raise InvalidCommand(f"split: --{name.replace('_', '-')} is for Saturn Cloud, not for Kubernetes")
    project = Project.load(options["batchfile"], remote_output_path=options["remote_output_path"] or None)
    given = {
        name: parse_count(options[name], f"--{name.replace('_', '-')}")
        for name in ("nprocs", "scale", "batch_size")
    }
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    project = Project(replace(project.batch, **said))
    wanted = wanted_runs(project, options)
    choice = choose(project.ledger, wanted)
    for stage, before in choice.waiting.items():
        print(f"`{stage}` comes after `{before}`: split again when that is completed")
    if not choice.items:
        print("nothing to execute, nothing written")
        return 0
    draft = make_draft(load_engine("kubernetes"), project.ledger, choice, always=wanted.completed)
    put(project.store, draft)
    count = len(draft.submission.texts)
    files = shlex.join(os.path.join(draft.submission.folder, name) for name in draft.files)
    print(
        f"wrote {count:,} chunk{'s' * (count != 1)} to {draft.submission.chunks}/ and {files}; "
        f"next: kubectl create -f {files}"
    )
    return 0


def _with_options(wishes: Wishes, options: dict[str, Any]) -> Wishes:
    given = {
        "name": options["name"],
        "instance_type": options["instance_type"],
        "nprocs": parse_count(options["nprocs"], "--nprocs"),
        "scale": parse_count(options["scale"], "--scale"),
        "batch_size": parse_count(options["batch_size"], "--batch-size"),
        "base_url": options["file_syncs_base_dir_url"],
        "local": options["local_commands_directory"],
        "remote": options["remote_commands_directory"],
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    here = [(text, os.getcwd()) for text in options["sync"]]
    return replace(wishes, **chosen, syncs=(*wishes.syncs, *here))


def wanted_runs(project: Project, options: dict[str, Any]) -> Wanted:
    """Return which runs are scheduled: of a run list all, of a batchfile those that are not completed."""
    listed = project.batch.path.suffix != ".toml"
    most = options["max_jobs"]
    return Wanted(
        completed=options["always"] or (listed and not options["skip_completed"]),
        failures=not options["skip_failures"],
        at_most=None if most in ("0", "-1") else parse_count(most, "--max-jobs"),  # as in the seed's client
    )


def ledger_for(project: Project, wanted: Wanted, say: Any) -> Ledger:
    """Return the batch's ledger; the store is read only if it matters how runs stand."""
    if wanted.everything:
        return Ledger(project.batch, {})
    say(f"gathering existing run status from {project.batch.remote_output_path}/")
    return project.ledger


def _written(submission: Submission) -> str:
    count = len(submission.chunks)
    file = submission.recipe_file
    return (
        f"wrote {count:,} chunk{'s' * (count != 1)} and {file}; "
        f"next: pydoit-sc apply {shlex.quote(file)} --start"
    )
