"""Engines that are really there: Slurm's daemons, the stand-in for Saturn Cloud, processes of this machine; a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.cluster import MISSING, Cluster, installed, start_cluster
from tests.engines.conformance_engines import ENGINES
from tests.engines.place import AWKWARD, Place
from tests.s3 import serve_s3


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[Cluster]:
    if not installed():
        pytest.skip(MISSING)
    with start_cluster() as cluster:
        yield cluster


@pytest.fixture
def slurm(whole_cluster: Cluster) -> Iterator[Cluster]:
    """A Slurm without jobs."""
    yield whole_cluster
    whole_cluster.empty()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a name that shells take apart."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    return folder


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """A project on each of the engines."""
    with ENGINES[request.param](request, folder) as place:
        yield place


@pytest.fixture
def s3() -> Iterator[str]:
    """The URL of an S3 server without buckets."""
    with serve_s3() as url:
        yield url
