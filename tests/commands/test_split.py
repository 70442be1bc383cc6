"""`split`: what it writes over, and what it says comes next. tests/saturn/test_split.py has it beside the published client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Box
from tests.saturn.recipes import job, write

SPLIT = ("--file-syncs-base-dir-url", "file://base", "--local-commands-directory")


@pytest.fixture
def jobs(box: Box) -> Box:
    """A recipe, and a run list of two."""
    write(job(), box.folder / "recipe.yaml")
    runs = {"runs": [{"cmd": "true"}, {"cmd": "false"}], "remote_output_path": "file://out", "nprocs": 2}
    box.write("jobs.json", json.dumps(runs))
    return box


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_split_has_written_is_replaced(jobs: Box) -> None:
    for name in ("d", "d/../d"):
        said = jobs.ok("split", "recipe.yaml", "jobs.json", *SPLIT, name)
        assert said.endswith(
            f"wrote 1 chunk and {name}/recipe.yaml; next: pydoit-sc apply {name}/recipe.yaml --start\n"
        )
    jobs.ok("split", "recipe.yaml", "jobs.json", *SPLIT, "d", "--max-jobs", "1")
    jobs.ok("split", "d/recipe.yaml", "jobs.json", *SPLIT, "e")


@pytest.mark.parametrize(
    ("name", "said"),
    [("b.toml", "skipping"), ("b.TOML", "skipping"), ("mybatch", "skipping"), ("jobs.json", "including")],
)
def test_completed_runs_of_a_batchfile_are_left_out_whatever_it_is_called(
    jobs: Box, name: str, said: str
) -> None:
    if name != "jobs.json":
        jobs.write(
            name,
            '[batch]\nremote_output_path = "out"\nnprocs = 1\n[runs.a]\ncmd = "true"\nmatrix = { x = [1, 2] }\n',
        )
    jobs("run", name)
    words = ("split", "recipe.yaml", name, *SPLIT, "d", "--skip-failures")
    assert f"\n{said} {2 - (name == 'jobs.json')} completed runs\n" in jobs.ok(*words)


@pytest.mark.parametrize(
    ("recipe", "folder", "said"),
    [
        ("recipe.yaml", ".", "./recipe.yaml: the recipe that is read, so it is not overwritten"),
        ("d/recipe.yaml", "d", "d/recipe.yaml: the recipe that is read"),
        ("link.yaml", "d", "d/recipe.yaml: the recipe that is read"),
        ("recipe.yaml", "foreign", "foreign/recipe.yaml: not a recipe of `split`, so it is not overwritten"),
        ("recipe.yaml", "text", "text/recipe.yaml: not a recipe of `split`"),
        ("recipe.yaml", "nowhere", "nowhere/recipe.yaml: not a recipe of `split`"),
    ],
)
def test_other_recipes_are_not(jobs: Box, recipe: str, folder: str, said: str) -> None:
    jobs.ok("split", "recipe.yaml", "jobs.json", *SPLIT, "d")
    (jobs.folder / "link.yaml").symlink_to("d/recipe.yaml")
    jobs.write("text/recipe.yaml", "flour, sugar")
    (jobs.folder / "foreign").mkdir()
    write(job("another"), jobs.folder / "foreign/recipe.yaml")
    (jobs.folder / "nowhere").mkdir()
    (jobs.folder / "nowhere/recipe.yaml").symlink_to("gone")
    before = files(jobs.folder)
    message = jobs("split", recipe, "jobs.json", *SPLIT, folder).refused()
    assert message.startswith(f"ERROR: {said}")
    assert message.endswith("give another --local-commands-directory\n")
    assert files(jobs.folder) == before


def test_nor_is_a_list_that_the_batch_names(jobs: Box) -> None:
    jobs.ok("split", "recipe.yaml", "jobs.json", *SPLIT, "d")
    place = json.loads((jobs.folder / "d/0.json").read_text())["remote_output_path"]
    jobs.batchfile(f'[batch]\nremote_output_path = "{place}"\nnprocs = 2\nruns_from = "d/0.json"\n')
    before = files(jobs.folder)
    message = jobs("split", "recipe.yaml", "batchfile.toml", *SPLIT, "d").refused()
    assert message.startswith("ERROR: d/0.json: the batch that is read, so it is not overwritten")
    assert files(jobs.folder) == before


def test_nor_is_the_batch_that_is_read(jobs: Box) -> None:
    jobs.ok("split", "recipe.yaml", "jobs.json", *SPLIT, "d", "--batch-size", "1")
    before = files(jobs.folder)
    for chunk in ("d/0.json", "d/1.json"):  # both would be removed, or be another one
        message = jobs("split", "recipe.yaml", chunk, *SPLIT, "d").refused()
        assert message.startswith(f"ERROR: d/{chunk[2:]}: the batch that is read, so it is not overwritten")
    assert files(jobs.folder) == before


def test_the_tasks_of_a_submission_neither(box: Box) -> None:
    write(job(), box.folder / "recipe.yaml")
    table = '[saturn]\nrecipe = "recipe.yaml"\ncommands_directory = "."\nfile_syncs_base_dir_url = "base"\n'
    box.batchfile(f'[batch]\nremote_output_path = "out"\nnprocs = 1\n[runs.a]\ncmd = "true"\n{table}')
    before = files(box.folder)
    assert "recipe.yaml: the recipe that is read" in box("run", "split").refused()
    assert "recipe.yaml: the recipe that is read" in box("split").refused()
    assert files(box.folder) == before
    box.edit('"."', '"c"')
    for words in (["run", "split"], ["split"]):
        box.ok(*words)
    assert {path.name for path in (box.folder / "c").iterdir()} == {"0.json", "recipe.yaml"}


def test_an_empty_job_is_not_started(jobs: Box) -> None:
    for run in (0, 1):
        jobs.write(f"out/{run}/status_code", "0")
    said = jobs.ok("split", "recipe.yaml", "jobs.json", *SPLIT, "d", "--skip-completed")
    assert said.endswith("wrote 0 chunks and d/recipe.yaml; nothing to execute\n")
    assert "--start" not in said
    jobs.ok("split", "recipe.yaml", "jobs.json", *SPLIT, "d")


def test_what_contradicts_itself_is_refused(jobs: Box) -> None:
    said = jobs("split", "recipe.yaml", "jobs.json", *SPLIT, "d", "--skip-completed", "--always").refused()
    assert said == "ERROR: split: expected one of --always and --skip-completed, found both\n"
