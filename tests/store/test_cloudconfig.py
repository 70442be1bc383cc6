"""How a bucket is reached: fsspec's options in obstore's words; and when not by obstore."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.store import StoreError, open_store
from pydoit_sc.store.anyfs import AnyBlobs
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import RETRIES, read_config

pytestmark = pytest.mark.usefixtures("no_aws")


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
        ("gs://b/p", {"token": __file__}, ("gs", "b", "p", {"service_account": __file__})),
        ("az://box/p", {"account_name": "a", "sas_token": "t"}, ("az", "box", "p", {"account_name": "a", "sas_key": "t"})),
    ],
)  # fmt: skip
def test_options_are_fsspecs(url: str, options: dict[str, Any], expected: tuple[object, ...]) -> None:
    config = read_config(url, options)
    assert config
    assert (config.kind, config.bucket, config.prefix, config.config) == expected
    assert config.credentials is None


def test_times_are_those_of_botocore() -> None:
    times = {"connect_timeout": 1, "read_timeout": 2.5, "retries": {"max_attempts": 3}}
    config = read_config("s3://b", {"config_kwargs": times})
    assert config
    assert (config.connect_timeout, config.read_timeout, config.retries) == (1.0, 2.5, 3)
    for given, retries in (
        ({}, RETRIES),
        ({"total_max_attempts": 1}, 0),
        ({"total_max_attempts": 3, "max_attempts": 7}, 2),
    ):
        config = read_config("s3://b", {"config_kwargs": {"retries": given}})
        assert config
        assert config.retries == retries


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("sftp://host/path", {}),
        ("s3://", {}),
        ("abfs://box@account.dfs.core.windows.net/p", {}),
        ("s3://b", {"requester_pays": True}),
        ("s3://b", {"client_kwargs": {"verify": False}}),
        ("s3://b", {"config_kwargs": {"signature_version": "s3"}}),
        ("s3://b", {"config_kwargs": {"retries": {"max_attempts": 3, "mode": "adaptive"}}}),
        ("gs://b", {"profile": "lab"}),
    ],
)
def test_what_only_fsspecs_class_knows_goes_there(url: str, options: dict[str, Any]) -> None:
    assert read_config(url, options) is None


def test_a_store_in_a_cloud_is_reached_by_obstore() -> None:
    for url, options in (
        ("s3://bucket/p", {}),
        ("gs://bucket/p", {"anon": True}),
        ("az://bucket/p", {"account_name": "a", "anon": True}),
    ):
        assert isinstance(vars(open_store(url, options))["_blobs"], CloudBlobs)
    assert isinstance(vars(open_store("memory://x/p", {}))["_blobs"], AnyBlobs)


@pytest.mark.parametrize(
    ("url", "options", "key"),
    [
        ("sftp://me:canary@host/p", {}, "remote_output_path"),
        ("s3://b/p", {"endpoint_url": "http://me:canary@host"}, "endpoint_url"),
        ("s3://b/p", {"client_kwargs": {"endpoint_url": "https://:canary@host:1"}}, "endpoint_url"),
        ("s3://b/p", {"endpoint_url": "http://me@example.org:canary@host"}, "endpoint_url"),
    ],
)
def test_a_password_in_a_url_is_refused(url: str, options: dict[str, Any], key: str) -> None:
    with pytest.raises(StoreError, match=f"`{key}`: .* has a password in a URL") as refused:
        open_store(url, options)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("gs://b/p", {"token": "ya29.canary"}, "there is no such file"),
        ("gs://b/p", {"token": '{"private_key": "canary"}'}, "missing field `private_key_id`"),
        ("gs://b/p", {"token": {"private_key_id": "", "private_key": 12345678, "client_email": ""}}, "expected a string"),
        ("gs://b/p", {"token": {"private_key_id": "", "private_key": "canary", "client_email": ""}}, "pem file"),
        ("az://b/p", {"account_name": "a", "account_key": "canary"}, "Invalid Access Key"),
        ("az://b/p", {"account_name": "a", "sas_token": "canary"}, "SAS query"),
        ("s3://b/p", {"endpoint_url": "canary"}, "expected a URL"),
        ("dir://b/p", {"target_protocol": "canary"}, "Protocol not known: …"),
    ],
)  # fmt: skip
def test_what_is_given_as_an_option_is_not_shown(url: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        open_store(url, options).scan(["x"])
    assert not any(secret in str(refused.value) for secret in ("canary", "12345678", "\n"))


def test_credentials_of_google_are_a_file_or_its_content(google: tuple[str, dict[str, object]]) -> None:
    url, options = google
    with open(str(options["token"])) as file:
        text = file.read()
    for token in (options["token"], text, json.loads(text)):
        assert open_store(url, {"token": token}).scan(["x"]) == {}


def test_a_password_in_a_variable_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "http://me:canary@127.0.0.1:9"
    (tmp_path / "config").write_text(
        f"[profile pw]\nendpoint_url = {url}\naws_access_key_id = k\naws_secret_access_key = s\n"
    )
    for name, value in {"AWS_ENDPOINT_URL": url, "AWS_CONFIG_FILE": str(tmp_path / "config")}.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(StoreError, match=r"^`.*: http://…@ has a password in a URL") as refused:
                open_store("s3://b/p", {} if name == "AWS_ENDPOINT_URL" else {"profile": "pw"})
            assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        "127.0.0.1:9000",
        "host",
        "http://",
        "ftp://host",
        "http://h:99999",
        "http://[::1",
        "http://h:0",
        "http://<host>:9000",
        "http://h:9000?x=1",
        "http://300.1.1.1",
    ],
)
def test_an_endpoint_that_is_none_is_one_line(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = "expected a URL, http://… or https://…, found another text"
    with pytest.raises(StoreError, match=f"^`endpoint_url` .*: {found}$"):
        open_store("s3://b/p", {"endpoint_url": value})
    monkeypatch.setenv("AWS_ENDPOINT_URL", value)
    with pytest.raises(StoreError, match=f"^`AWS_ENDPOINT_URL`: {found}$"):
        open_store("s3://b/p", {})
    assert read_config("gs://b/p", {"anon": True})  # that variable is of AWS alone


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"])
def test_an_endpoint_that_is_empty_is_none(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "")
    with pytest.raises(StoreError, match=f"^`{variable}`: expected a URL, found nothing; unset it$"):
        open_store("s3://b/p", {})
