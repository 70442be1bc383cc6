"""Stores that cannot be reached as the user has said: on every command one line with the key, and nothing started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Box
from tests.s3 import KEYS

S3 = "s3://bucket/p"
COMMANDS = (["plan"], ["status"], ["run"], ["batch", "batchfile.toml"], ["summarize-batch"], ["verify"])

#: Where outputs go, its options, the environment beside the endpoint, and the message.
TRIES: dict[str, tuple[str, str, dict[str, str], str]] = {
    "no bucket": ("s3://no-such-bucket/p", "", KEYS, "s3://no-such-bucket/p: there is no bucket `no-such-bucket`"),
    "no bucket, fsspec": (
        "s3://no-such-bucket/p", "requester_pays = true", KEYS,
        "s3://no-such-bucket/p: there is no bucket `no-such-bucket`",
    ),
    "no profile": (S3, "", {"AWS_PROFILE": "no"}, f"{S3}: `AWS_PROFILE`: there is no profile `no`, found none"),
    "no profile in options": (
        S3, 'profile = "no"', {}, f"{S3}: `profile` in `storage_options`: there is no profile `no`, found none",
    ),
    "endpoint": (
        S3, "", {**KEYS, "AWS_ENDPOINT_URL": "host:9000"},
        "`AWS_ENDPOINT_URL`: expected a URL, http://… or https://…, found another text",
    ),
    "region": (
        S3, "", {**KEYS, "AWS_REGION": "mars north"},
        "`AWS_REGION`: expected the name of a region, such as us-east-1, found another text",
    ),
    "option": (
        S3, 'endpint_url = "http://h"', KEYS,
        "batchfile.toml:3:21: batch.storage_options.endpint_url: unknown key; did you mean `endpoint_url`?",
    ),
}  # fmt: skip


@pytest.fixture
def without_aws(box: Box, s3: str) -> Iterator[Box]:
    """A box without anything for AWS but a server."""
    for name in [name for name in box.env if name.startswith("AWS_")]:
        del box.env[name]
    box.env |= {"HOME": str(box.folder), "AWS_ENDPOINT_URL": s3, "AWS_EC2_METADATA_DISABLED": "true"}
    yield box


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_store_that_cannot_be_reached(without_aws: Box, words: list[str]) -> None:
    for url, options, env, message in TRIES.values():
        without_aws.batchfile(
            f'[batch]\nremote_output_path = "{url}"\nstorage_options = {{ {options} }}\n'
            '[runs.a]\ncmd = "echo {x}"\nmatrix = { x = [1, 2] }\n'
        )
        before = dict(without_aws.env)
        without_aws.env |= env
        done = without_aws(*words)
        without_aws.env = before
        assert (done.code, done.out, done.err) == (3, "", f"ERROR: {message}\n"), done
