"""What all tests of stores share: a temporary folder, an environment without AWS."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.store import azurite
from tests.store.gcs import GcsServer


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the worker's folders of a test a place of their own: workers of tests have fixed names."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without anything for AWS; the folder where its tools look for their files."""
    folder = tmp_path / "aws"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return folder


@pytest.fixture
def google(tmp_path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """The URL of an empty place on Google Cloud Storage, and its options."""
    with GcsServer("box") as server:
        said = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}  # fmt: skip
        token = tmp_path / "token.json"
        token.write_text(json.dumps(said))
        yield "gs://box/deep er/prefix", {"token": str(token)}


@pytest.fixture(scope="session")
def azurite_port() -> Iterator[int]:
    """The port of an emulator of Azure."""
    if not azurite.program():
        pytest.skip("there is no emulator of Azure: npm install -g azurite")
    with azurite.server() as port:
        yield port


@pytest.fixture
def azure(azurite_port: int) -> tuple[str, dict[str, object]]:
    """The URL of an empty place on Azure, and its options."""
    container = f"box-{uuid.uuid4().hex[:12]}"
    azurite.make_container(azurite_port, container)
    return f"az://{container}/deep er/prefix", azurite.options(azurite_port)


class Refusing(BaseHTTPRequestHandler):
    """An S3 server that refuses everything."""

    status, code = 403, "AccessDenied"

    def answer(self) -> None:
        body = f"<Error><Code>{self.code}</Code><Message>no</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Elsewhere(Refusing):
    """An S3 server of another region than the bucket's."""

    status, code = 301, "PermanentRedirect"


@pytest.fixture(params=[Refusing])
def refusing(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that refuses everything; the URL of its endpoint."""
    with HTTPServer(("127.0.0.1", 0), request.param) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
