"""Batches of values alone, for what decides without a store."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from pydoit_sc.batch import Batch, Run, RunSet, Settings, Share, Stage
from pydoit_sc.parts import in_order

PLAIN = Settings()


def stage(name: str, size: int = 2, *after: str, settings: Settings = PLAIN, named: bool = True) -> Stage:
    """Return a stage after whole other ones, which `batch` puts in."""
    runs = [Run(str(n), f"{name} {n}", f"{name}/{n}", settings, position=n) for n in range(size)]
    return Stage(name, runs, after, named=named)


def batch(*given: Stage, folder: Path = Path("/nowhere"), max_failures: int | Share | None = None) -> Batch:
    sets: dict[str, RunSet] = {}
    for one in in_order(given):
        after = tuple(sets[name] for name in one.after)
        runs = [run._replace(after=after) for run in one.runs]
        sets[one.name] = RunSet(one.name, runs, whole=True)
    stages = tuple(one._replace(runs=sets[one.name].members) for one in given)
    return Batch("b", folder / "batchfile.toml", "/out", stages, max_failures=max_failures)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Up to five stages, each of which may come after any before it, in any order."""
    names = "vwxyz"[: draw(st.integers(1, 5))]
    stages = [
        stage(
            name, draw(st.integers(0, 3)), *draw(st.sets(st.sampled_from(names[:n])) if n else st.just(set()))
        )
        for n, name in enumerate(names)
    ]
    return batch(*draw(st.permutations(stages)))
