"""Parts of a batch, and the order of its stages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.batch import Batch, Run, RunSet
from pydoit_sc.parts import in_order, with_earlier, without_earlier
from tests.stages import batch, batches, stage


@given(batches())
def test_stages_are_in_order(of: Batch) -> None:
    ordered = [stage.name for stage in in_order(of.stages)]
    assert sorted(ordered) == sorted(stage.name for stage in of.stages)
    for item in of.stages:
        assert all(ordered.index(name) < ordered.index(item.name) for name in item.after)


def earlier_of(run: Run) -> set[str]:
    """Return the keys of all that a run comes after, directly or not."""
    direct = [one for after in run.after for one in (after.members if isinstance(after, RunSet) else [after])]
    return {one.key for one in direct}.union(*map(earlier_of, direct))


@given(batches(), st.data())
def test_a_part_has_what_its_runs_come_after(of: Batch, data: st.DataObject) -> None:
    every = list(of.runs())
    chosen = [each for each in data.draw(st.permutations(every)) if data.draw(st.booleans())]
    names = {run.key for _, run in chosen}
    for found, wanted in (
        (without_earlier(of, chosen), names),
        (with_earlier(of, chosen), names.union(*(earlier_of(run) for _, run in chosen))),
    ):
        keys = [run.key for stage in found for run in stage.runs]
        assert keys == [run.key for _, run in every if run.key in wanted]


def test_single_runs_bring_what_they_come_after_however_far() -> None:
    of = batch(stage("c", 1, "b"), stage("a", 3), stage("b", 2, "a"), stage("d"))
    c, a, b, d = of.stages
    single = [run._replace(after=(a.runs[n + 1],)) for n, run in enumerate(b.runs)]
    paired = b._replace(runs=single)
    last = c._replace(runs=[c.runs[0]._replace(after=(RunSet("b", single, whole=True),))])
    found = with_earlier(of._replace(stages=(last, a, paired, d)), [(last, last.runs[0])])
    assert [run.key for one in found for run in one.runs] == ["c/0", "a/1", "a/2", "b/0", "b/1"]
