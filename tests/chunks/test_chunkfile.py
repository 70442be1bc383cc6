"""What a chunk may say of the store."""

from __future__ import annotations

import json
from pathlib import Path

from pydoit_sc.batch import Batch, Run, Settings, Stage
from pydoit_sc.chunks.chunkfile import chunk_text
from pydoit_sc.chunks.read import read_chunk
from pydoit_sc.plan import Work


def test_secrets_of_the_store_stay_out_of_chunks(tmp_path: Path) -> None:
    run = Run("0", "true", "0", Settings())
    stage = Stage("runs", [run])
    options = {
        "endpoint_url": "http://127.0.0.1:1",
        "account_name": "ours",
        "key": "canary",
        "secret": "canary",
        "client_kwargs": {"region_name": "here", "aws_secret_access_key": "canary"},
    }
    batch = Batch("b", tmp_path / "batchfile.toml", "s3://bucket/out", (stage,), storage_options=options)
    text = chunk_text(batch, [Work("runs:0", run, "s3://bucket/out/0", "1-0-0-0")], nprocs=1, submission="s")
    assert "canary" not in text
    (tmp_path / "0.json").write_text(text)
    kept = {
        "endpoint_url": "http://127.0.0.1:1",
        "account_name": "ours",
        "client_kwargs": {"region_name": "here"},
    }
    assert read_chunk(tmp_path / "0.json").storage_options == kept
    assert json.loads(text)["runs"][0]["cmd"] == "true"
