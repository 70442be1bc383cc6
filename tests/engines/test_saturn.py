"""The engine `saturn` without Saturn Cloud: the recipe that it writes."""

from __future__ import annotations

from pathlib import Path

from pydoit_sc.batchfile import load
from pydoit_sc.engines.base import Group, Handed, State, Submission
from pydoit_sc.engines.saturn import RECIPE, Saturn, StartedJob
from pydoit_sc.sync.upload import Archive

GOLDEN = Path(__file__).parent / "saturn_recipe.yaml"

BATCH = """\
[batch]
remote_output_path = "s3://bucket/out"
scale = 3
nprocs = 2

[[runs]]
cmd = "train"

[saturn]
recipe = "job.yaml"
name = "it's a job"
instance_type = "large"
worker_install = "pip install pydoit-sc"
"""

JOB = """\
type: job
spec:
  name: old
  owner: test/hugo
  image: community/python:1
  instance_type: small
  working_directory: /home/jovyan/workspace
  start_script: |
    #!/bin/sh
    echo mine
"""


def submission_in(folder: Path) -> Submission:
    (folder / "batchfile.toml").write_text(BATCH)
    (folder / "job.yaml").write_text(JOB)
    archives = [
        Archive(f"s3://bucket/my code/data-{'a' * 64}.tar.gz", "/home/jovyan/workspace/my code"),
        Archive(f"az://bucket/chunks/data-{'b' * 64}.tar.gz", "/tmp/commands/ID"),
    ]
    batch = load(folder / "batchfile.toml")
    return Submission(
        "ID", batch, ["", ""], "/tmp/commands/ID", [Group(0, 2)], [(), ()], 3, str(folder), "", [], archives
    )


def test_the_recipe(tmp_path: Path) -> None:
    """It is made of what is given, and of nothing that is asked for."""
    files = Saturn().prepare(submission_in(tmp_path))
    assert files == {RECIPE: GOLDEN.read_text()}


def test_where_the_machines_have_the_chunks(tmp_path: Path) -> None:
    batch = submission_in(tmp_path).batch
    assert Saturn().chunks_folder(batch, "ID") == "/tmp/commands/ID"
    assert Saturn("chunks").chunks_folder(batch, "ID") == "/home/jovyan/workspace/chunks"


def test_a_job_of_another_name_is_not_called_ended(tmp_path: Path) -> None:
    """The recipe is of another job since, and that is the only one asked about."""
    batch = submission_in(tmp_path).batch
    job = StartedJob(name="old\nname", last="", at=0.0).to_json().decode()
    handed = Handed("ID", batch, str(tmp_path), [job, "x"])
    found = Saturn().poll([handed])
    assert [(key, state.state) for key, state in found.items()] == [(job, State.UNKNOWN)]
    assert found[job].detail == 'it is of the job "old\\nname", and the recipe is of "it\'s a job"'
