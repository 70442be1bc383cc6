"""When a worker has nothing to do for a run, and the name of a chunk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydoit_sc.batch import Batch, Run, Settings
from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.ledger import Work
from pydoit_sc.store import Record


def work(name: str) -> Work:
    return Work(f"a:{name}", Run(name, "true", f"a/{name}", Settings()), f"file:///out/a/{name}", "now")


CHUNK = Chunk([work("1"), work("2")], Batch("b", Path(), "file:///out", ()), "mine")


@pytest.mark.parametrize(
    ("record", "completed", "always"),
    [
        (None, False, False),
        (Record(None, "x", "now", "mine"), False, False),  # its status_code holds no status code
        (Record(1, "x", "now", "mine"), False, False),
        (Record(0, "x", "now", "mine"), True, True),
        (Record(0, "x", "before", "mine"), True, True),  # what this submission has completed is done
        (Record(0, "x", "now", "older"), True, False),
        (Record(0, "x", "", "older"), True, False),  # of `sc`
        (Record(0, "x", "before", "older"), False, False),
    ],
)
def test_what_is_completed(record: Record | None, completed: bool, always: bool) -> None:
    assert CHUNK.completed("now", record) is completed
    assert CHUNK._replace(always=True).completed("now", record) is always


def test_a_run_list_has_no_submission_that_could_have_completed_something() -> None:
    chunk = CHUNK._replace(submission="")
    assert not chunk.completed("now", Record(0, "x", "before", ""))


def test_no_two_chunks_have_the_same_id() -> None:
    others = [CHUNK._replace(submission="s2"), CHUNK._replace(works=CHUNK.works[:1])]
    assert len({CHUNK.id, *(other.id for other in others)}) == 3
    assert "/" not in CHUNK.id
