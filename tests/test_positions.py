"""Which runs of a list stand where other commands were: values in and out, and the positions that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from pydoit_sc.batch import Run, Stage
from pydoit_sc.ledger import Ledger
from pydoit_sc.positions import moved
from pydoit_sc.store import Record
from tests.stages import PLAIN, batch


class Listed:
    """A list whose lines are edited, and the outcomes of its earlier lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        ledger = Ledger(batch(self._stage(lines)), {})
        self.outcomes = {
            run.key: Record(0, f"w-{run.key}", ledger.fingerprint(run)) for run in ledger.batch.stages[0].runs
        }
        self.asked: list[str] = []

    def _stage(self, lines: Sequence[str], *, named: bool = False) -> Stage:
        runs = [Run(str(n), line, str(n), PLAIN, position=n) for n, line in enumerate(lines)]
        return Stage("runs", runs, named=named)

    def moved(self, lines: Sequence[str], *, named: bool = False, only: Sequence[int] | None = None) -> str:
        """Return which runs have moved, now that these are the lines; of all or of some."""
        of = batch(self._stage(lines, named=named))
        (stage,) = of.stages
        chosen = stage if only is None else stage._replace(runs=[stage.runs[n] for n in only])
        keys = {run.key for run in chosen.runs}
        ledger = Ledger(of, {key: record for key, record in self.outcomes.items() if key in keys})
        ledger.scan = self._scan
        self.asked = []
        return " ".join(moved(ledger, [chosen]))

    def _scan(self, keys: Iterable[str]) -> Mapping[str, Record]:
        asked = list(keys)
        self.asked += asked
        return {key: self.outcomes[key] for key in asked if key in self.outcomes}


@pytest.mark.parametrize(
    ("now", "names"),
    [
        ("abcd", ""),
        ("xabcd", "0 1 2 3"),
        ("axbcd", "1 2 3"),
        ("bcd", "0 1 2"),
        ("acd", "1 2"),
        ("cd", "0 1"),  # their outcomes lie beyond the end
        ("abd", "2"),
        ("d", "0"),
        ("ac", "1"),
        ("abc", ""),  # what is taken out below moves nothing
        ("ab", ""),
        ("xbcd", ""),  # an edit
        ("abcx", ""),
        ("ax", ""),
        ("dbcd", ""),  # d is where it was, too
        ("bacd", "0 1"),
        ("", ""),
    ],
)
def test_lines_that_are_put_in_and_taken_out(now: str, names: str) -> None:
    listed = Listed("abcd")
    assert listed.moved(now) == names
    assert not listed.moved(now, named=True)
    assert len(listed.asked) <= 16 + 64


def test_a_run_that_is_named_alone_is_compared_with_the_whole_list() -> None:
    listed = Listed("abcd")
    for now in ("xabcd", "bcd", "cd"):
        assert listed.moved(now, only=[0]) == "0"
    for now in ("xbcd", "dbcd"):
        assert not listed.moved(now, only=[0])


def test_what_is_asked_for_is_bounded() -> None:
    lines = [f"echo {n}" for n in range(3000)]
    listed = Listed(lines)
    assert not listed.moved(lines)
    assert not listed.moved(lines[:100])
    assert listed.moved(["new", *lines]).startswith("0 1 2 ")
    assert not listed.asked  # the list tells all
    assert not listed.moved(["edited", *lines[1:]])
    assert listed.asked == [str(n) for n in range(3000, 3016)]  # nothing was beyond the end
    assert listed.moved(lines[1000:1002]) == "0 1"
    assert not listed.moved(["edited"])
    assert len(listed.asked) == 16 + 64 + 256 + 1024
