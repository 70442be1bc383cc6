"""Every kind of store passes the same checks; S3 is a real server with the real client."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest

from pydoit_sc.store import Finished, Store, StoreError, open_store
from tests.store import conformance
from tests.store.conformance import Place

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server in a process of its own that ends with ours; the URL of its endpoint."""
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    env = {**os.environ, **KEYS}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    ) as server:
        assert server.stdin and server.stdout
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()
        server.wait(30)


@pytest.fixture(params=["posix", "memory", "s3", "s3 by fsspec"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty store of each kind."""
    folder = tmp_path / "attempts"
    folder.mkdir()
    if request.param == "posix":
        return posix_place(tmp_path / "store", folder)
    options: dict[str, object] = {"skip_instance_cache": True, "use_listings_cache": False}
    scheme = request.param.partition(" ")[0]
    url = f"{scheme}://bucket-{uuid.uuid4().hex[:12]}/deep er/prefix"
    if scheme == "s3":
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    fs, root = fsspec.core.url_to_fs(url, **options)
    if scheme == "s3":
        fs.mkdir(root.partition("/")[0])

    def put(path: str, data: bytes) -> None:
        fs.pipe_file(f"{root}/{path}", data)

    def paths() -> set[str]:
        return {path[len(root) + 1 :] for path in fs.find(root) if "/.pydoit_sc/index/" not in path}

    # An option that only fsspec's class knows leads there.
    own: dict[str, object] = {"default_cache_type": "none"} if request.param == "s3 by fsspec" else {}
    return Place(open_store(url, own), put, paths, folder, lambda: open_store(url, own))


def posix_place(root: Path, folder: Path) -> Place:
    """A store on a local disk."""

    def put(path: str, data: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    def paths() -> set[str]:
        return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}

    def reopen() -> Store:
        return open_store(f"file://{root}", {}, durable=False)

    return Place(open_store(str(root), {}), put, paths, folder, reopen)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_store_keeps_the_promise(place: Place, check: Callable[[Place], None]) -> None:
    check(place)


class Refusing(BaseHTTPRequestHandler):
    """An S3 server that refuses everything."""

    def answer(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def refusing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_error_of_the_store_is_no_absence(
    refusing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    store = open_store("s3://bucket/prefix", {"endpoint_url": refusing})
    Path(tmp_path, "status_code").write_text("0")
    attempt = Finished("run", "a-1", str(tmp_path), None, None)
    for call in (
        lambda: store.scan(["run"]),
        lambda: store.files("run"),
        lambda: store.open("run", "stdout"),
        lambda: store.forget("run"),
        lambda: store.remove("run"),
        lambda: list(store.orphans(set())),
    ):
        with pytest.raises(StoreError, match="s3://bucket/prefix"):
            call()
    assert isinstance(store.stage([attempt])[0], StoreError)
    assert Path(tmp_path, "status_code").exists()


def test_a_store_that_cannot_be_opened_says_so() -> None:
    for url, options in (
        ("nonsense://x/y", {}),
        ("s3://bucket/x", {"no_such_option": 1}),
        ("http://x/y", {"client_kwargs": 3}),
    ):
        try:
            store = open_store(url, options)
            store.scan(["a"])
        except StoreError as error:
            assert url in str(error)
        else:
            pytest.fail(f"{url} with {options} was opened")
