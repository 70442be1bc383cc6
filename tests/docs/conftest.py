"""The engines and stores that some pages need: the environment in which there is one."""

from __future__ import annotations

import botocore.session
import pytest

from tests.engines.cluster import Cluster
from tests.engines.conftest import slurm, whole_cluster
from tests.s3 import KEYS

__all__ = ["slurm", "whole_cluster"]


@pytest.fixture
def env_of_slurm(slurm: Cluster) -> dict[str, str]:
    """Slurm's configuration."""
    return dict(slurm.env)


@pytest.fixture
def env_of_workers() -> dict[str, str]:
    """Nothing more than some seconds: many workers, each a process that starts Python."""
    return {}


@pytest.fixture
def env_of_s3(s3: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A server with a bucket named `bucket`."""
    env = {**KEYS, "AWS_ENDPOINT_URL": s3, "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    botocore.session.get_session().create_client("s3").create_bucket(Bucket="bucket")
    return env
