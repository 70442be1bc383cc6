"""How long a store is waited for, and which of its errors pass by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from pydoit_sc.store import patience
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import Config
from pydoit_sc.store.patience import Patience


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of each call that was made; there is no pause between them."""
    monkeypatch.setattr(patience, "_FIRST", 0.0)
    return []


def failing(calls: list[int], times: int) -> Callable[[], int]:
    def call() -> int:
        calls.append(len(calls))
        if len(calls) <= times:
            raise ConnectionError(str(len(calls)))
        return len(calls)

    return call


def passes(_error: Exception) -> bool:
    return True


def test_what_may_pass_is_tried_until_it_has_passed(calls: list[int]) -> None:
    waits = Patience(60)
    assert waits.call(failing(calls, 5), passes) == 6
    assert not waits.is_tried


def test_a_refusal_is_final(calls: list[int]) -> None:
    with pytest.raises(ConnectionError, match="1"):
        Patience(60).call(failing(calls, 5), lambda _: False)


def test_it_is_over_for_all_at_once(calls: list[int]) -> None:
    """What failed a moment ago is not asked for again by everything that is left."""
    waits = Patience(0)
    for _ in range(3):
        with pytest.raises(ConnectionError, match="1"):
            waits.call(failing(calls, 5), passes)
    assert len(calls) == 1
    assert waits.is_tried


def test_a_worker_that_is_told_to_stop_waits_no_longer(calls: list[int]) -> None:
    waits = Patience(60)
    waits.end()
    with pytest.raises(ConnectionError, match="1"):
        waits.call(failing(calls, 5), passes)


class Answering(BaseHTTPRequestHandler):
    """An S3 server that gives the answer which the bucket's name says."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, _, code = self.path.lstrip("/").partition("/")[0].partition("?")[0].partition("-")
        body = f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def answering() -> Iterator[str]:
    """The endpoint of a server that answers as it is told."""
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def may_pass_of(endpoint: str, bucket: str) -> list[bool]:
    """Return whether what a listing and an upload raise may pass."""
    config = {"endpoint": endpoint, "access_key_id": "k", "secret_access_key": "s", "region": "r"}
    blobs = CloudBlobs(Config("s3", bucket, "", config, retries=0))
    found = []
    for call in (lambda: list(blobs.list("a")), lambda: blobs.create("a", b"1")):
        with pytest.raises(Exception) as error:
            call()
        found.append(blobs.may_pass(error.value))
    return found


@pytest.mark.parametrize(
    "answer, may_pass",
    [
        *(("500-InternalError", True), ("503-SlowDown", True), ("429-TooMany", True)),
        *(("408-RequestTimeout", True), ("400-RequestTimeout", True)),
        *(("403-AccessDenied", False), ("401-Unauthorized", False), ("400-ExpiredToken", False)),
        *(("404-NoSuchBucket", False), ("405-MethodNotAllowed", False)),
    ],
)
def test_refusals_and_outages(answering: str, answer: str, may_pass: bool) -> None:
    assert may_pass_of(answering, answer) == [may_pass] * 2


def test_nobody_who_listens_is_an_outage() -> None:
    assert may_pass_of("http://127.0.0.1:9", "bucket") == [True] * 2
