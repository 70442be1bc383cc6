"""Which runs may start as others end, and why others do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.batch import Batch, Run, RunSet
from pydoit_sc.order import Causes, Order
from pydoit_sc.parts import in_order
from tests.stages import batch, batches, stage


def earlier_of(run: Run) -> list[str]:
    return [
        one.key for after in run.after for one in (after.members if isinstance(after, RunSet) else [after])
    ]


def with_single_runs(run: Run, data: st.DataObject) -> Run:
    """Return a run that comes after whole stages, or after some of their runs, together or one by one."""
    after: list[Run | RunSet] = []
    for one in run.after:
        assert isinstance(one, RunSet)
        some = (
            data.draw(st.lists(st.sampled_from(one.members), unique_by=lambda run: run.key))
            if one.members
            else []
        )
        after += data.draw(st.sampled_from([[one], [RunSet(one.stage, some, whole=False)], some]))
    return run._replace(after=tuple(after))


@given(batches(), st.data())
def test_each_run_is_given_out_once_and_after_all_that_it_waits_for(of: Batch, data: st.DataObject) -> None:
    stages = [
        (item, [with_single_runs(run, data) for run in item.runs if data.draw(st.booleans())])
        for item in in_order(of.stages)
    ]
    to_execute = {run.key: run for _, runs in stages for run in runs}
    order = Order(stages)
    ready = [run for run in to_execute.values() if not order.waits(run)]
    completed, failed, held = set[str](), set[str](), set[str]()
    while ready:
        run = ready.pop(data.draw(st.integers(0, len(ready) - 1)))
        assert run.key not in completed | failed | held
        assert {key for key in earlier_of(run) if key in to_execute} <= completed
        if data.draw(st.booleans()):
            completed.add(run.key)
            ready += order.succeeded(run)
        else:
            failed.add(run.key)
            held |= {one.key for one in order.failed(run)}
    assert completed | failed | held == to_execute.keys()
    assert not order.is_waiting
    for key in held:
        assert failed & set(earlier_of(to_execute[key])) or held & set(earlier_of(to_execute[key]))


def test_the_cause_of_what_is_not_executed() -> None:
    """It is the run that has failed, however far before; many that come after many are looked at once."""
    chain = batch(stage("a", 3000), stage("b", 3000, "a"), stage("c", 1, "b"), stage("d"))
    by_key = {run.key: run for _, run in chain.runs()}
    causes = Causes({"a/2999"})
    found = {key: causes.of(run) for key, run in by_key.items()}
    assert {key for key, cause in found.items() if cause} == {f"b/{n}" for n in range(3000)} | {"c/0"}
    assert {cause.key for cause in found.values() if cause} == {"a/2999"}
