"""A submission whose store is S3: chunks, notes and outcomes are objects; no secret is in any, nor in a file or an argument."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engines.place import arguments
from tests.engines.test_conformance import PIPELINE

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


@dataclass
class OnS3:
    """A project whose store is a bucket."""

    folder: Path
    url: str
    fs: Any

    def batchfile(self, text: str) -> None:
        """Write the batchfile, with where the bucket is and the secret."""
        (self.folder / "batchfile.toml").write_text(text.replace("URL", self.url).replace("CANARY", CANARY))

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run the program, and look for the secret in what it says and in all arguments meanwhile."""
        env = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": CANARY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/none",
            "AWS_SHARED_CREDENTIALS_FILE": "/none",
        }
        command = [sys.executable, "-m", "pydoit_sc", *words]
        with subprocess.Popen(
            command, cwd=self.folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as program:
            while program.poll() is None:
                assert CANARY not in arguments()
                time.sleep(0.05)
            assert program.stdout
            said = program.stdout.read()
        assert program.returncode == code, said
        assert CANARY not in said
        return said


@pytest.fixture
def bucket(s3: str, tmp_path: Path) -> OnS3:
    import s3fs

    fs = s3fs.S3FileSystem(key="key", secret=CANARY, endpoint_url=s3, skip_instance_cache=True)
    fs.mkdir("bucket")
    return OnS3(tmp_path, s3, fs)


def test_from_submit_to_summary(bucket: OnS3) -> None:
    bucket.batchfile(BATCH.replace("HERE", str(bucket.folder)))
    out = bucket("submit", "--engine", "local", "--wait", code=1)
    assert "failed a:3" in out
    assert "1 incomplete: waits for a:3 (failed)" in out
    assert "local" in bucket("submissions")
    (bucket.folder / "mended").touch()
    bucket("submit", "--engine", "local", "--wait")
    assert bucket("plan") == "all 6 runs are up to date\n"
    assert bucket("verify") == "6 of 6 runs are finished: 6 whole\n"
    assert bucket.fs.cat_file("bucket/out/b/stdout") == b"last\n"
    objects = bucket.fs.find("bucket")
    assert any("/submissions/" in path and path.endswith("/0.json") for path in objects)
    assert all(CANARY.encode() not in bucket.fs.cat_file(path) for path in objects)
    files = [path for path in bucket.folder.rglob("*") if path.is_file() and path.name != "batchfile.toml"]
    assert all(CANARY.encode() not in path.read_bytes() for path in files)


def test_each_sample_goes_its_own_way_on_s3(bucket: OnS3) -> None:
    """As on the engines: `{after.STAGE}` is a URL here."""
    samples = [f"s{n}" for n in range(200 if "PYDOIT_SC_NIGHTLY" in os.environ else 20)]
    for sample in samples:
        (bucket.folder / f"in-{sample}").write_text(sample)
    (bucket.folder / "fail-s9").touch()
    bucket.batchfile(
        BATCH.partition("[runs.a]")[0] + PIPELINE.partition("[runs.align]")[1] + PIPELINE.partition("[runs.align]")[2]
        .replace("SAMPLES", json.dumps(samples)).replace("cat {after.align}/stdout", "echo {after.align}")
        .replace("; cat out/call/*/stdout | wc -l", "")
    )  # fmt: skip
    assert "2 incomplete: waits for align:s9 (failed)" in bucket("run", code=1)
    log = bucket.folder / "log"
    assert len(log.read_text().split()) == 2 * len(samples) - 1
    (bucket.folder / "fail-s9").unlink()
    for edited in (None, "in-s7"):
        log.unlink()
        if edited:
            (bucket.folder / edited).write_text("edited")
        bucket("run")
        sample = "s7" if edited else "s9"
        assert log.read_text().split() == [f"align:{sample}", f"call:{sample}", "report"]
    assert bucket.fs.cat_file("bucket/out/call/s7/stdout") == b"s3://bucket/out/align/s7\n"
    assert "up to date" in bucket("plan", "--check")
