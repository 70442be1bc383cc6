"""What a killed worker was sending in parts is aborted by the one that publishes its run, and nothing else is."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import botocore.session
import pytest

from pydoit_sc.store import Finished, Outcome, Staged, open_store
from tests.s3 import KEYS


def test_uploads_of_a_dead_worker_are_aborted(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(name, value)
    client = botocore.session.get_session().create_client("s3", endpoint_url=s3)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    said = {
        "attempt": "dead-1",
        "fingerprint": "f",
        "files": {"results/x": {"size": 5 << 20}, "stdout": {"size": 0}},
    }
    client.put_object(Bucket=bucket, Key="out/run/run.json", Body=json.dumps(said).encode())
    for key in ("out/run/results/x", "out/run/results/x", "out/run/results/xy", "out/other/results/x"):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    for name, text in {"stdout": "", "stderr": "", "status_code": "0"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "run.json").write_text(json.dumps({"attempt": "w-1", "fingerprint": "f", "status_code": 0}))
    store = open_store(f"s3://{bucket}/out", {})
    with store.workspace("w", None):
        (staged,) = store.stage([Finished("run", "w-1", str(tmp_path), None)])
    assert isinstance(staged, Staged) and staged.outcome is Outcome.PUBLISHED, staged
    left = [item["Key"] for item in client.list_multipart_uploads(Bucket=bucket)["Uploads"]]
    assert sorted(left) == ["out/other/results/x", "out/run/results/xy"]
