"""The engines that the conformance test is for: how each gets a project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.engines.place import Place

Setup = Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Place]]


@contextmanager
def _local(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    yield Place(folder, "local")


@contextmanager
def _slurm(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    cluster = request.getfixturevalue("slurm")
    yield Place(folder, "slurm", "cpus_per_task = 1\ntime = 10", dict(cluster.env))


@contextmanager
def _saturn(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    from tests.saturn import recipes
    from tests.saturn.standin import Standin

    recipes.write(recipes.job("j", working_directory=str(folder)), folder / "job.yaml")
    with Standin() as standin:
        yield Place(
            folder,
            "saturn",
            'recipe = "job.yaml"\nfile_syncs_base_dir_url = "file://base"',
            dict(standin.env()),
        )


@contextmanager
def _dask(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    pytest.importorskip("distributed", reason="distributed is not installed: pip install 'pydoit-sc[dask]'")
    yield Place(folder, "dask", 'cluster = "local"')


#: By name; a setup gives a project, and ends what it has started.
ENGINES: dict[str, Setup] = {"local": _local, "slurm": _slurm, "dask": _dask, "saturn": _saturn}
