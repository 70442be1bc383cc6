"""Passwords in URLs: refused wherever a URL can be given, with the key and without the password."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pydoit_sc.batchfile import BatchfileError
from pydoit_sc.chunks.read import read_chunk, read_chunk_at
from pydoit_sc.store import StoreError
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.upload import parse_sync, stage
from tests.batchfile.conftest import Problems

URL = "sftp://me:canary@host/x"
RUN = '[runs.a]\ncmd = "true"\n'
S3 = '[batch]\nremote_output_path = "s3://b/x"\n'
SAID = "…@ has a password in a URL, which would be written into chunks and logs"

#: A file's text, its name, and the key that is told.
FILES: dict[str, tuple[str, str]] = {
    "batch.remote_output_path": (f'[batch]\nremote_output_path = "{URL}"\n{RUN}', "batchfile.toml"),
    "batch.remote_output_path ": ("[batch]\nremote_output_path = '$PLACE/x'\n" + RUN, "batchfile.toml"),
    "batch.remote_output_path  ": (
        f'[batch]\nremote_output_path = "ftp://me@example.org:canary@host/x"\n{RUN}', "batchfile.toml",
    ),
    "batch.runs_from": (f'{S3}runs_from = "https://me:canary@host/runs.json"\n', "batchfile.toml"),
    "sync.to": (f'{S3}{RUN}[sync]\nto = "{URL}"\n', "batchfile.toml"),
    "sync.to ": (f'{S3}{RUN}[sync]\nto = " sftp:/me:can/ary@host"\n', "batchfile.toml"),
    "dask.address": (f'{S3}{RUN}[dask]\naddress = "tcp://me:canary@host:8786"\n', "batchfile.toml"),
    "batch.storage_options.endpoint_url": (f'{S3}storage_options.endpoint_url = "http://me:canary@h"\n{RUN}', "batchfile.toml"),
    "batch.storage_options.client_kwargs.endpoint_url": (
        f'{S3}storage_options.client_kwargs.endpoint_url = "ftp://:canary@h:1"\n{RUN}', "batchfile.toml",
    ),
    "remote_output_path": (f'{{"remote_output_path": "{URL}", "runs": [{{"cmd": "a"}}]}}', "runs.json"),
    "runs[0].remote_output_path": (
        f'{{"remote_output_path": "sftp://host/x", "runs": [{{"cmd": "a", "remote_output_path": "{URL}/0"}}]}}', "runs.json",
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", FILES)
def test_a_password_in_a_file(problems: Problems, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", URL)
    (line,) = problems(*FILES[key])
    assert f" {key.strip()}: " in line
    assert SAID in line
    assert "canary" not in line and "can/ary" not in line


def test_a_password_on_the_command_line(problems: Problems, tmp_path: Path) -> None:
    (line,) = problems(S3 + RUN, remote_output_path=URL)
    assert SAID in line and "canary" not in line
    for place in (
        f"{URL}/0.json",
        "s3://me:canary@bucket/0.json",
        "simplecache::sftp://me:canary@host/0.json",
    ):
        with pytest.raises(StoreError, match=rf"^\w+://{SAID}") as refused:
            read_chunk_at(place, {})
        assert "canary" not in str(refused.value)


def test_a_password_in_the_place_of_archives(tmp_path: Path) -> None:
    """As `--file-syncs-base-dir-url` gives it."""
    with pytest.raises(SyncError, match=SAID) as refused:
        stage(parse_sync(f"{tmp_path}:/x", "/", str(tmp_path)), URL)
    assert "canary" not in str(refused.value)


def test_a_password_in_a_chunk_of_sc(tmp_path: Path) -> None:
    run = {
        "remote_output_path": f"{URL}/0",
        "cmd": "a",
        "local_results_dir": "/r/0/",
        "status_code": None,
        "status": None,
    }
    (tmp_path / "0.json").write_text(json.dumps({"runs": [run], "remote_output_path": URL, "nprocs": 1}))
    with pytest.raises(BatchfileError, match=SAID) as refused:
        read_chunk(tmp_path / "0.json")
    assert "canary" not in str(refused.value)
