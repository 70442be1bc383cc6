"""A store that cannot be reached as the user has said: one line, with the key or the variable."""

from __future__ import annotations

import os

import pytest

from pydoit_sc.store import StoreError, open_store
from pydoit_sc.store.cloudconfig import Config
from pydoit_sc.store.cloudfaults import explain
from tests.conftest import Box
from tests.s3 import KEYS
from tests.store.conftest import Elsewhere

KEYS_IN_OPTIONS = {"key": "k", "secret": "s"}


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize("refusing", [Elsewhere], indirect=True)
@pytest.mark.parametrize(
    ("client", "given"),
    [
        ({"region_name": "eu-x-1"}, "`region_name` in `storage_options` or of the profile says `eu-x-1`"),
        ({}, "`AWS_REGION` says `eu-x-2`"),
    ],
)
def test_another_region(
    refusing: str, client: dict[str, str], given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not client:
        monkeypatch.setenv("AWS_REGION", "eu-x-2")
    options = {**KEYS_IN_OPTIONS, "endpoint_url": refusing, "client_kwargs": client}
    for count in (1, 101):
        with pytest.raises(StoreError) as refused:
            open_store("s3://bucket/p", options).scan(str(n) for n in range(count))
        said = str(refused.value)
        assert said.startswith(f"s3://bucket/p: the bucket `bucket` is in another region; {given}: ")
        assert "\n" not in said


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize("value", ["mars north", "a/b", "eu-x-1\n"])
def test_a_region_that_is_no_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """obstore panics there, as it does for an endpoint without a scheme."""
    with pytest.raises(
        StoreError,
        match=r"^`region_name` .*: expected the name of a region, such as us-east-1, found another text$",
    ):
        open_store("s3://bucket/p", {"client_kwargs": {"region_name": value}})
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(StoreError, match=f"^`{name}`: expected the name of a region"):
                open_store("s3://bucket/p", {})


@pytest.mark.parametrize(
    ("kind", "text", "keys"),
    [
        ("s3", "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 1ms", "AWS_ACCESS_KEY_ID"),
        ("gs", "Error performing GET http://metadata.google.internal/computeMetadata/v1/", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("az", "Error performing GET http://169.254.169.254/metadata/identity/oauth2/token", "AZURE_STORAGE_ACCOUNT_KEY"),
    ],
)  # fmt: skip
def test_no_credentials_are_told_with_what_gives_them(kind: str, text: str, keys: str) -> None:
    """The last place that is asked for them is the machine's."""
    said = explain(text, Config(kind, "bucket", ""))
    assert said.startswith("found no credentials, nor has this machine any; expected ")
    assert keys in said


def test_what_may_pass_is_left_as_it_is() -> None:
    for text in ("HTTP error: error sending request", "503 SlowDown", "<Code>AccessDenied</Code>"):
        assert explain(text, Config("s3", "bucket", "")) == ""


@pytest.mark.parametrize("options", [{}, {"requester_pays": True}])
@pytest.mark.parametrize("count", [1, 101])
def test_a_bucket_that_is_not_there(
    s3: str, options: dict[str, object], count: int, no_aws: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the class of fsspec, too."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    store = open_store("s3://no-such-bucket/p", {**options, "endpoint_url": s3})
    with pytest.raises(StoreError, match=r"^s3://no-such-bucket/p: there is no bucket `no-such-bucket`$"):
        store.scan(str(n) for n in range(count))
    with pytest.raises(StoreError, match="there is no bucket"):
        list(store.look([str(n) for n in range(count)]))


@pytest.mark.usefixtures("no_aws")
def test_every_command_says_that_there_is_no_bucket(s3: str, box: Box) -> None:
    box.env.update({**KEYS, "AWS_ENDPOINT_URL": s3})
    box.batchfile('[batch]\nremote_output_path = "s3://no-such-bucket/p"\n[runs.a]\ncmd = "true"\n')
    for words in (["plan"], ["run"], ["clean", "--all"], ["forget", "--all"], ["verify"], ["reproduce", "a"]):
        done = box(*words)
        assert done.code and done.err.endswith("there is no bucket `no-such-bucket`\n"), (words, done)
        assert done.err.count("\n") == 1, (words, done)


@pytest.mark.usefixtures("no_aws")
def test_a_refusal_is_one_line_with_what_gives_credentials(refusing: str) -> None:
    store = open_store("s3://bucket/p", {**KEYS_IN_OPTIONS, "endpoint_url": refusing})
    for count, verb in ((1, "GET"), (101, "LIST")):
        with pytest.raises(StoreError) as refused:
            store.scan(str(n) for n in range(count))
        said = f"s3://bucket/p: the server refuses {verb} (AccessDenied): the credentials are wrong, have expired, or do not "
        assert str(refused.value).startswith(said), str(refused.value)
        assert "\n" not in str(refused.value)
    with (
        pytest.raises(StoreError, match=r"the server refuses PUT \(AccessDenied\)"),
        store.workspace("w", None),
    ):
        pass


def test_a_container_that_is_not_there() -> None:
    said = "404 Not Found: <Error>\n  <Code>ContainerNotFound</Code>"
    assert explain(said, Config("az", "box", "")) == "there is no container `box`"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {},
            "expected `account_name` in `storage_options`, or `AZURE_STORAGE_ACCOUNT_NAME`, and found neither",
        ),
        (
            {"account_name": "a", "account_key": "no base64!"},
            "Generic MicrosoftAzure error: Invalid Access Key: Invalid symbol 32, offset 2.",
        ),
    ],
)
def test_what_is_wrong_before_any_request_is_one_line(
    options: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(StoreError) as refused:
        open_store("az://box/p", options)
    assert str(refused.value) == f"az://box/p: {said}"
