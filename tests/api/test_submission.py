"""A submission from Python: handed over, waited for, cancelled, without a word on standard output."""

from __future__ import annotations

import pytest

import pydoit_sc as sc
from tests.conftest import HEAD, STAGES, Box


def submitted(batch: sc.ChosenRuns) -> sc.SubmittedBatch:
    found = batch.submit(engine="local")
    assert found
    return found


def test_what_is_submitted_is_waited_for(box: Box, capfd: pytest.CaptureFixture[str]) -> None:
    box.batchfile(STAGES.replace("cat in", "test {x} != 2"))
    box.write("in", "")
    batch = sc.load(box.folder)
    ended = (one := submitted(batch)).wait()
    assert (one.engine, one.runs, one.waiting) == ("local", 4, ())
    assert (ended.completed, ended.failed, ended.not_executed) == (2, 1, 1)
    assert ended.why == ("1 incomplete: waits for a:2 (failed)",)
    assert repr(one) == f"<submission {one.id} to local: 4 runs in {one.chunks} chunks>"
    assert batch.select("a:1").submit(engine="local") is None
    assert capfd.readouterr() == ("", "")
    assert one.id in box.ok("submissions", "--all")


def test_a_submission_that_is_cancelled(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "while :; do sleep 0.1; done"\n')
    batch = sc.load(box.folder)
    one = submitted(batch)
    assert one.is_under_way
    with pytest.raises(sc.UserError, match=f"submission {one.id} .local. is under way") as caught:
        batch.submit(engine="local")
    assert str(caught.value) in box("submit", "--engine", "local").err
    one.cancel()
    counts = one.wait()
    assert (counts.completed, counts.not_executed, counts.why) == (0, 1, ("1 incomplete: cancelled",)), counts
    assert not one.is_under_way


def test_what_cannot_be_submitted(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true"\n')
    batch = sc.load(box.folder)
    with pytest.raises(sc.UserError) as caught:
        batch.submit()
    assert str(caught.value) in box("submit", "-f", str(box.folder / "batchfile.toml")).err
    with pytest.raises(sc.UserError, match="no engine is named `locl`; did you mean `local`"):
        batch.submit(engine="locl")
    with pytest.raises(sc.UserError, match=r"--nprocs: .*, found `0`"):
        batch.submit(engine="local", nprocs=0)
