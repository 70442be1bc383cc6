"""What a batch is made from is not written over, and one that has changed is not executed as the old one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import pydoit_sc as sc
from tests.conftest import HEAD, Box

_LISTED = '[batch]\nremote_output_path = "out"\ndurable = false\nruns_from = "jobs.csv"\n'
_STAGES = (
    HEAD
    + """
[runs.a]
cmd = "echo {row.x} {f}"
file_dep = ["in.csv", "data/*.csv", "folder"]
matrix = { row = { csv = "axis.csv" }, f = { glob = "seen/*" } }
"""
)


@pytest.fixture
def inputs(box: Box) -> Box:
    """A batch whose axes and runs read files."""
    box.batchfile(_STAGES)
    for name in ("in.csv", "data/a.csv", "folder/below/b.csv", "axis.csv", "seen/one"):
        box.write(name, "x\n1\n")
    (box.folder / "link.csv").symlink_to("axis.csv")
    return box


def test_a_list_is_not_written_over(box: Box) -> None:
    box.write("lists/jobs.csv", text := "cmd,name\ntrue,a\n")
    box.batchfile(_LISTED.replace("jobs.csv", "lists/jobs.csv"))
    box.ok("run")
    for words in (("results", "--to"), ("run", "-o")):
        message = box(*words, "lists/jobs.csv").refused()
        assert message.endswith("lists/jobs.csv` is a file that the batch is read from; name another file\n")
    assert (box.folder / "lists/jobs.csv").read_text() == text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("axis.csv", "a file that the batch is read from"),
        ("link.csv", "a file that the batch is read from"),
        ("in.csv", "a `file_dep` of the batch's runs"),
        ("data/a.csv", "a `file_dep` of the batch's runs"),
        ("folder/below/b.csv", "a `file_dep` of the batch's runs"),
    ],
)
def test_nor_is_what_its_axes_and_its_runs_read(inputs: Box, name: str, said: str) -> None:
    message = inputs("results", "--to", name).refused()
    assert message == f"ERROR: --to: `{name}` is {said}; name another file\n"
    assert (inputs.folder / name).read_text() == "x\n1\n"


def test_a_page_is_not_written_over_an_input(inputs: Box) -> None:
    inputs.write("folder/page.html", "mine")
    message = inputs("report", "--to", "folder/page.html").refused()
    assert message.endswith(" is a `file_dep` of the batch's runs; name another file\n")
    assert (inputs.folder / "folder/page.html").read_text() == "mine"


@pytest.mark.parametrize("name", ["out/a/1/one/results/new.csv", "link/a/1/one/results/old.csv"])
def test_nor_is_an_output_of_a_run(inputs: Box, name: str) -> None:
    inputs.edit("matrix = {", 'name = "{row.x}/{f.name}"\nmatrix = {')
    inputs.ok("run", "--quiet")
    (inputs.folder / "link").symlink_to("out")
    message = inputs("results", "--to", name).refused()
    assert (
        message == f"ERROR: --to: `{name}` is in the output of one of the batch's runs; name another file\n"
    )
    assert inputs("results", "--to", "link/a/new.csv").code == 0


def test_nor_is_one_whose_stage_is_a_link(inputs: Box) -> None:
    inputs.edit("matrix = {", 'name = "{row.x}/{f.name}"\nmatrix = {')
    inputs.ok("run", "--quiet")
    (inputs.folder / "out/a").rename(inputs.folder / "else")
    (inputs.folder / "out/a").symlink_to("../else")
    for top in ("out/a", "else"):
        said = f"`{top}/1/one/n.csv` is in the output of one of the batch's runs"
        assert said in inputs("results", "--to", f"{top}/1/one/n.csv").refused()
        assert "is where the batch has its outputs" in inputs("fetch", "--to", top).refused()
    assert inputs("verify").code == 0


def test_what_is_no_input_is_written(inputs: Box) -> None:
    inputs.ok("run", "--quiet")
    for name in ("new.csv", "new.csv", "data.csv"):
        assert inputs("results", "--to", name).code == 0
        assert (inputs.folder / name).read_text().startswith("name,")
    assert inputs("results", "--to", "/dev/null").refused()  # it has no ending, and is no input either


def _edit(box: Box, _: pytest.MonkeyPatch) -> None:
    box.edit("echo {row.x}", "printf {row.x}")


def _axis(box: Box, _: pytest.MonkeyPatch) -> None:
    box.write("axis.csv", "x\n2\n")


def _found(box: Box, _: pytest.MonkeyPatch) -> None:
    box.write("seen/two", "")


def _place(_: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "elsewhere")


@pytest.mark.parametrize("change", [_edit, _axis, _found, _place])
def test_a_batch_that_has_changed_is_loaded_again(
    inputs: Box, monkeypatch: pytest.MonkeyPatch, change: Callable[[Box, pytest.MonkeyPatch], None]
) -> None:
    inputs.edit("file://out", "$PLACE")
    monkeypatch.chdir(inputs.folder)
    monkeypatch.setenv("PLACE", "out")
    batch = sc.load()
    chosen = batch.select("a")
    assert chosen.run().completed == 1
    change(inputs, monkeypatch)
    for again in (batch.run, batch.submit, chosen.run):
        with pytest.raises(sc.UserError, match=r"batchfile\.toml: the batch has changed .*; load it again"):
            again()
    assert len(batch.plan(always=True)) == batch.status().total.size == len(batch) == 1
    assert sc.load().run().failed == 0


def test_a_batch_that_is_the_same_is_executed(inputs: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inputs.folder)
    batch = sc.load("batchfile.toml", to="other")
    inputs.write("batchfile.toml", (inputs.folder / "batchfile.toml").read_text())
    monkeypatch.chdir("/")
    assert batch.run().completed == 1


def test_a_batchfile_that_is_gone(inputs: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inputs.folder)
    batch = sc.load()
    (inputs.folder / "batchfile.toml").unlink()
    with pytest.raises(sc.UserError, match=r"batchfile\.toml: no such file"):
        batch.run()
