"""A batch on an object store from Python: each answer is of the moment, from one client."""

from __future__ import annotations

import uuid

import botocore.session
import pytest

import pydoit_sc as sc
from tests.conftest import Box
from tests.s3 import KEYS

pytestmark = pytest.mark.slow  # the server


def test_on_s3(s3: str, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    bucket = f"api-{uuid.uuid4().hex}"
    client = botocore.session.get_session().create_client("s3")
    client.create_bucket(Bucket=bucket)
    results = "echo {x} > $SATURN_RUN_LOCAL_RESULTS_DIR/x.json"
    box.batchfile(
        f'[batch]\nremote_output_path = "s3://{bucket}/out"\nnprocs = 2\n'
        f'[runs.a]\ncmd = "echo {{x}}; {results}; test {{x}} != 2"\nmatrix = {{ x = [1, 2, 3] }}\n'
    )
    batch = sc.load(box.folder)
    assert [run.status.value for run in batch] == ["incomplete"] * 3
    counts = batch.run()
    assert (counts.completed, counts.failed) == (2, 1)
    assert [run.status.value for run in batch] == ["completed", "error", "completed"]
    assert (batch["a:3"].stdout, dict(batch["a:3"].files)["results/x.json"]) == ("3\n", 2)
    assert len(batch.plan()) == 1
    assert batch.results("name", "x", sort="-x").rows() == [("a:3", 3), ("a:1", 1)]
    client.put_object(Bucket=bucket, Key="out/a/1/status_code", Body=b"7")
    assert batch.status().total.statuses[sc.Status.ERROR] == 2
