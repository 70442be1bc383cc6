"""Azurite, Microsoft's emulator of Azure Blob Storage, where it is installed: `npm install -g azurite`."""

from __future__ import annotations

import hmac
import shutil
import socket
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from urllib.request import Request, urlopen

PATIENCE = 120.0  # seconds in which it must have started
ACCOUNT = "devstoreaccount1"
#: Published by Microsoft: the key of that account on every emulator.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def program() -> str | None:
    """Return where it is."""
    return shutil.which("azurite-blob")


@contextmanager
def server() -> Iterator[int]:
    """Azurite with all in memory; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command = [program() or "", *where, "--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + PATIENCE
            while not _listens(port):
                assert process.poll() is None and time.monotonic() < until, "it has not started"
                time.sleep(0.1)
            yield port
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def options(port: int) -> dict[str, object]:
    """Return what a store there takes."""
    return {
        "account_name": ACCOUNT,
        "account_key": KEY,
        "endpoint_url": f"http://127.0.0.1:{port}/{ACCOUNT}",
    }


def make_container(port: int, name: str) -> None:
    """Make a container, which obstore cannot."""
    date = formatdate(usegmt=True)
    signed = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:2023-11-03\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = b64encode(hmac.digest(b64decode(KEY), signed.encode(), "sha256")).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2023-11-03",
        "Authorization": f"SharedKey {ACCOUNT}:{signature}",
        "Content-Type": "",
    }
    url = f"http://127.0.0.1:{port}/{ACCOUNT}/{name}?restype=container"
    with urlopen(Request(url, data=b"", headers=headers, method="PUT")) as answer:
        assert answer.status == 201
