"""How a bucket is reached: fsspec's options, the environment and the files of the AWS tools; and when not by obstore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.store import open_store
from pydoit_sc.store.anyfs import AnyBlobs
from pydoit_sc.store.cloud import CloudBlobs, read_config

CREDENTIALS = """
[default]
aws_access_key_id = default-key
aws_secret_access_key = default-secret

[lab]
aws_access_key_id = lab-key
aws_secret_access_key = lab%secret
aws_session_token = lab-token
"""
CONFIG = """
[default]
region = eu-north-1

[profile lab]
region = eu-west-1
endpoint_url = https://lab.example

[profile role]
role_arn = arn:aws:iam::1:role/r
source_profile = lab
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with the files of the AWS tools."""
    (tmp_path / "credentials").write_text(CREDENTIALS)
    (tmp_path / "config").write_text(CONFIG)
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("s3://bucket", {}, ("s3", "bucket", "", {})),
        ("s3a://bucket/a b/c/", {}, ("s3", "bucket", "a b/c", {})),
        (
            "s3://b/p",
            {"key": "k", "secret": "s", "token": None, "client_kwargs": {"endpoint_url": "http://h:1", "region_name": "r"}},
            ("s3", "b", "p", {"access_key_id": "k", "secret_access_key": "s", "endpoint": "http://h:1", "region": "r"}),
        ),
        ("s3://b", {"anon": True, "endpoint_url": "http://h"}, ("s3", "b", "", {"skip_signature": True, "endpoint": "http://h"})),
        ("gs://b/p", {"token": "/key.json"}, ("gs", "b", "p", {"service_account": "/key.json"})),
        ("az://box/p", {"account_name": "a", "sas_token": "t"}, ("az", "box", "p", {"account_name": "a", "sas_key": "t"})),
    ],
)  # fmt: skip
def test_options_are_fsspecs(url: str, options: dict[str, Any], expected: tuple[object, ...]) -> None:
    config = read_config(url, options, {"AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none"})
    assert config
    assert (config.kind, config.bucket, config.prefix, config.config) == expected


def test_times_are_those_of_botocore() -> None:
    times = {"connect_timeout": 1, "read_timeout": 2.5, "retries": {"max_attempts": 3}}
    config = read_config("s3://b", {"config_kwargs": times}, {"AWS_CONFIG_FILE": "/none"})
    assert config
    assert (config.connect_timeout, config.read_timeout, config.retries) == (1.0, 2.5, 3)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("sftp://host/path", {}),
        ("s3://", {}),
        ("abfs://box@account.dfs.core.windows.net/p", {}),
        ("s3://b", {"requester_pays": True}),
        ("s3://b", {"client_kwargs": {"verify": False}}),
        ("s3://b", {"config_kwargs": {"signature_version": "s3"}}),
        ("s3://b", {"profile": "role"}),
    ],
)
def test_what_only_fsspecs_class_knows_goes_there(
    url: str, options: dict[str, Any], env: dict[str, str]
) -> None:
    assert read_config(url, options, env) is None


def test_profiles(env: dict[str, str]) -> None:
    lab = {
        "access_key_id": "lab-key",
        "secret_access_key": "lab%secret",
        "token": "lab-token",
        "region": "eu-west-1",
        "endpoint": "https://lab.example",
    }

    def config(options: dict[str, Any], **more: str) -> dict[str, Any]:
        found = read_config("s3://b", options, {**env, **more})
        assert found
        return dict(found.config)

    default = {"access_key_id": "default-key", "secret_access_key": "default-secret", "region": "eu-north-1"}
    assert config({}) == default
    assert config({"profile": "lab"}) == lab
    assert config({}, AWS_PROFILE="lab") == lab
    assert config({"key": "k"}, AWS_PROFILE="lab") == {**lab, "access_key_id": "k"}
    # The environment goes before a profile that nobody has named; obstore reads it itself.
    assert config({}, AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s") == {"region": "eu-north-1"}
    assert config({}, AWS_REGION="us-east-2", AWS_PROFILE="lab")["endpoint"] == "https://lab.example"
    assert "region" not in config({}, AWS_REGION="us-east-2", AWS_PROFILE="lab")
    assert "endpoint" not in config({}, AWS_ENDPOINT_URL="http://h", AWS_PROFILE="lab")
    Path(env["AWS_CONFIG_FILE"]).write_text("no section\n")
    assert config({"profile": "nobody"}) == {}


def test_a_store_in_a_cloud_is_reached_by_obstore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    for url, options in (
        ("s3://bucket/p", {}),
        ("gs://bucket/p", {"anon": True}),
        ("az://bucket/p", {"account_name": "a", "anon": True}),
    ):
        assert isinstance(vars(open_store(url, options))["_blobs"], CloudBlobs)
    assert isinstance(vars(open_store("memory://x/p", {}))["_blobs"], AnyBlobs)
