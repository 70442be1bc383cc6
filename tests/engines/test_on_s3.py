"""A submission whose store is S3: chunks, notes and outcomes are objects; no secret is in any, nor in a file or an argument."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engines.place import arguments

pytestmark = pytest.mark.slow

CANARY = "canary-4f1d-secret"
BATCH = """\
[batch]
remote_output_path = "s3://bucket/out"
nprocs = 2
batch_size = 2
scale = 2
storage_options = { endpoint_url = "URL", key = "key", secret = "CANARY" }

[runs.a]
cmd = "echo {x}; sleep 0.2; test {x} != 3 -o -e {here}/mended"
matrix = { x = [0, 1, 2, 3, 4], here = ["HERE"] }
name = "{x}"

[runs.b]
cmd = "echo last"
after = ["a"]
"""


def test_from_submit_to_summary(s3: str, tmp_path: Path) -> None:
    import s3fs

    fs = s3fs.S3FileSystem(key="key", secret=CANARY, endpoint_url=s3, skip_instance_cache=True)
    fs.mkdir("bucket")
    batchfile = tmp_path / "batchfile.toml"
    batchfile.write_text(BATCH.replace("URL", s3).replace("CANARY", CANARY).replace("HERE", str(tmp_path)))
    env = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/none",
        "AWS_SHARED_CREDENTIALS_FILE": "/none",
    }

    def call(*words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "pydoit_sc", *words]
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as program:
            while program.poll() is None:
                assert CANARY not in arguments()
                time.sleep(0.05)
            assert program.stdout
            said = program.stdout.read()
        assert program.returncode == code, said
        assert CANARY not in said
        return said

    assert "failed a:3" in call("submit", "--engine", "local", "--wait", code=1)  # `b` is not executed
    assert "local" in call("submissions")
    (tmp_path / "mended").touch()
    call("submit", "--engine", "local", "--wait")
    assert call("plan") == "all 6 runs are up to date\n"
    assert call("verify") == "6 of 6 runs are finished: 6 whole\n"
    assert fs.cat_file("bucket/out/b/stdout") == b"last\n"
    objects = fs.find("bucket")
    assert any("/submissions/" in path and path.endswith("/0.json") for path in objects)
    assert all(CANARY.encode() not in fs.cat_file(path) for path in objects)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != batchfile]
    assert all(CANARY.encode() not in path.read_bytes() for path in files)
