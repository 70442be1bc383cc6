"""Profiles, roles, services and credentials: real files of the AWS tools, and a real STS server for roles."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from pydoit_sc.store import StoreError, open_store
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import Config, read_config

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
role_arn = arn:aws:iam::123456789012:role/worker
source_profile = lab
region = eu-west-1

[profile circle]
role_arn = arn:aws:iam::123456789012:role/worker
source_profile = nobody
region = eu-west-1

[profile process]
credential_process = {python} -c 'print({printed!r})'

[profile process-fails]
credential_process = {python} -c 'import sys; sys.exit("the vault is closed")'

[profile sso]
sso_session = company
sso_account_id = 123456789012
sso_role_name = worker
region = us-west-2

[sso-session company]
sso_region = us-west-2
sso_start_url = https://company.example/start

[profile services]
region = eu-west-3
services = local
endpoint_url = https://global.example

[services local]
s3 =
  endpoint_url = http://services.example:9000
sts =
  endpoint_url = http://elsewhere.example

[profile other-service]
region = eu-west-3
services = other
endpoint_url = https://global.example

[services other]
dynamodb =
  endpoint_url = http://elsewhere.example

[profile no-services]
services = missing

[profile ignoring]
region = eu-west-3
endpoint_url = https://global.example
ignore_configured_endpoint_urls = true

[profile empty]
region = eu-west-3
"""
PRINTED = {
    "Version": 1,
    "AccessKeyId": "process-key",
    "SecretAccessKey": "process-secret",
    "SessionToken": "t",
}


@pytest.fixture
def files(no_aws: Path) -> Path:
    """The files of the AWS tools, where the environment says."""
    (no_aws / "credentials").write_text(CREDENTIALS)
    printed = json.dumps(PRINTED).replace('"', '\\"')
    command = f"{sys.executable} -c \"print('{printed}')\""
    text = CONFIG.replace("{python} -c 'print({printed!r})'", command).replace("{python}", sys.executable)
    (no_aws / "config").write_text(text)
    return no_aws


def config(options: Mapping[str, Any] | None = None) -> Config:
    """Return how a bucket is reached."""
    found = read_config("s3://bucket", options or {})
    assert found
    return found


def keys(found: Config) -> tuple[str, str, str | None]:
    """Return the credentials that obstore gets."""
    assert found.credentials
    given = found.credentials()
    return given["access_key_id"], given["secret_access_key"], given["token"]


LAB = ("lab-key", "lab%secret", "lab-token")
DEFAULT = ("default-key", "default-secret", None)


@pytest.mark.usefixtures("files")
def test_a_named_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = {"region": "eu-west-1", "endpoint": "https://lab.example"}
    assert (config().config, keys(config())) == ({"region": "eu-north-1"}, DEFAULT)
    found = config({"profile": "lab"})
    assert (found.config, keys(found)) == (lab, LAB)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        with monkeypatch.context() as env:
            env.setenv(name, "lab")
            assert (config().config, keys(config())) == (lab, LAB)
            assert config({"anon": True}).credentials is None
            given = config({"key": "k", "secret": "s"})
            assert given.credentials is None
            assert given.config == {**lab, "access_key_id": "k", "secret_access_key": "s"}


@pytest.mark.usefixtures("files")
def test_keys_in_the_environment_go_before_a_profile_that_no_option_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "env-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    assert keys(config()) == ("env-key", "env-secret", None)
    assert config().config == {"region": "eu-north-1"}
    assert keys(config({"profile": "lab"})) == LAB
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert keys(config()) == ("env-key", "env-secret", None)  # as the AWS tools do


def test_without_files_and_profiles_botocore_is_not_imported(no_aws: Path) -> None:
    code = (
        "import sys; from pydoit_sc.store import open_store; open_store('s3://bucket/p', {});"
        "assert not [name for name in sys.modules if name.startswith('botocore')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert config().credentials is None
    (no_aws / "config").write_text("[default]\nregion = eu-north-1\n")
    assert config({"anon": True}).config["region"] == "eu-north-1"


@pytest.mark.parametrize("how", ["option", "AWS_PROFILE"])
@pytest.mark.parametrize("with_files", [True, False])
def test_a_profile_that_does_not_exist(
    how: str, with_files: bool, request: pytest.FixtureRequest, no_aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if with_files:
        request.getfixturevalue("files")
    options = {"profile": "nobody"} if how == "option" else {}
    if not options:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
    where = "`profile` in `storage_options`" if options else "`AWS_PROFILE`"
    with pytest.raises(
        StoreError, match=f"^s3://bucket/p: {where}: there is no profile `nobody`, found [^,]+"
    ):
        open_store("s3://bucket/p", options)


@pytest.mark.usefixtures("files")
def test_credentials_of_a_process() -> None:
    assert keys(config({"profile": "process"})) == ("process-key", "process-secret", "t")
    with pytest.raises(StoreError, match="the vault is closed"):
        open_store("s3://bucket/p", {"profile": "process-fails"})


@pytest.mark.usefixtures("files")
def test_a_role_is_assumed(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    found = config({"profile": "role"})
    key, _, token = keys(found)
    assert key not in ("lab-key", "default-key") and token  # STS has made them
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    client = botocore.session.Session(profile="lab").create_client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    store = open_store(f"s3://{bucket}/p", {"profile": "role"})
    assert isinstance(vars(store)["_blobs"], CloudBlobs)  # not fsspec's class, which is weaker
    store.write_note("a/b", b"data")
    assert store.read_note("a/b") == b"data"
    with pytest.raises(StoreError, match="nobody"):
        open_store(f"s3://{bucket}/p", {"profile": "circle"})


@pytest.mark.usefixtures("files")
def test_a_role_that_cannot_be_assumed(refusing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", refusing)
    with pytest.raises(StoreError, match=r"^s3://bucket/p: .*AssumeRole"):
        open_store("s3://bucket/p", {"profile": "role"})


@pytest.mark.usefixtures("files")
def test_single_sign_on_says_what_is_missing() -> None:
    with pytest.raises(StoreError, match=r"^s3://bucket/p: .*SSO"):
        open_store("s3://bucket/p", {"profile": "sso"})
    assert config({"profile": "sso", "anon": True}).config["region"] == "us-west-2"


@pytest.mark.usefixtures("files")
def test_no_credentials_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"^s3://bucket/p: found no credentials for profile `empty`"):
        open_store("s3://bucket/p", {"profile": "empty"})


ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {},
    {"AWS_DEFAULT_REGION": "ap-south-1"},
    {"AWS_ENDPOINT_URL": "http://env.example"},
    {"AWS_ENDPOINT_URL": "http://env.example", "AWS_ENDPOINT_URL_S3": "http://env-s3.example"},
    {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "http://env.example"},
    {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false", "AWS_ENDPOINT_URL": "http://env.example"},
)


@pytest.mark.slow
@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("profile", [None, "lab", "services", "other-service", "ignoring", "empty"])
def test_region_and_endpoint_are_those_of_botocore(
    profile: str | None, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    found = config({"anon": True, **({"profile": profile} if profile else {})}).config
    client = botocore.session.Session(profile=profile).create_client("s3")
    assert found.get("region") == client.meta.region_name
    usual = f"https://s3.{client.meta.region_name}.amazonaws.com"
    assert found.get("endpoint", usual) == client.meta.endpoint_url


@pytest.mark.usefixtures("files")
def test_options_and_the_region_of_other_tools_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    assert config({"profile": "lab", "anon": True}).config["region"] == "us-east-2"
    options = {"anon": True, "client_kwargs": {"region_name": "sa-east-1", "endpoint_url": "http://option"}}
    found = config({"profile": "lab", **options}).config
    assert (found["region"], found["endpoint"]) == ("sa-east-1", "http://option")


@pytest.mark.usefixtures("files")
def test_a_services_section_that_does_not_exist() -> None:
    with pytest.raises(
        StoreError, match=r"profile `no-services`: there is no section `\[services missing\]`"
    ):
        open_store("s3://bucket/p", {"profile": "no-services", "anon": True})
