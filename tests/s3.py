"""An S3 server for tests, and what its clients need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SERVER = """
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
moto, way = DomainDispatcherApplication(create_backend_app), sys.argv[1]
def answer(environ, start_response):
    for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH") if way != "heeded" else ():
        if environ.pop(name, None) and way == "refused":
            start_response("501 Not Implemented", [])
            return [b"<Error><Code>NotImplemented</Code></Error>"]
    return moto(environ, start_response)
server = make_server("127.0.0.1", 0, answer, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.port, flush=True)
sys.stdin.read()
"""
#: What a client of the S3 server needs.
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def serve_s3(conditions: str = "heeded") -> Iterator[str]:
    """An S3 and STS server without buckets, in a process of its own that ends with ours; the URL of its endpoint.

    The conditions of a request may be "ignored" or "refused", too, as some servers do.
    """
    command = [sys.executable, "-W", "ignore", "-c", _SERVER, conditions]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **KEYS},
    ) as server:
        assert server.stdin and server.stdout
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()
        server.wait(30)
