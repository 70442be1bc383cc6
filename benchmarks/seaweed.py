"""SeaweedFS, an S3 server that checks signatures, with all its parts on free ports; the tests start it, too."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_PARTS = ("s3", "master", "volume", "filer", "admin", "s3.port.iceberg", "s3.port.lance")
_LOCAL = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
)


class Seaweed(NamedTuple):
    """A server that was started; it takes some seconds until it answers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path


@contextmanager
def seaweed(program: str, folder: Path, keys: Mapping[str, str], *options: str) -> Iterator[Seaweed]:
    """Start the server with its data in a folder; `keys` are the variables that AWS clients know theirs by."""
    ports = dict(zip(_PARTS, _free_ports(len(_PARTS)), strict=True))
    listening = [f"-{part if '.' in part else f'{part}.port'}={port}" for part, port in ports.items()]
    data, log = folder / "weed", folder / "weed.log"
    data.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "mini", f"-dir={data}", *_LOCAL, *listening, *options],
            env={**os.environ, **keys},
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Seaweed(process, ports["s3"], log)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, and with them those 10,000 above, which SeaweedFS takes for its own purposes.

    Processes that look for them at the same time, whose numbers are close together, begin far from each other.
    """
    found: list[int] = []
    for port in range(10_000 + os.getpid() * 4 * count % 10_000, 45_000):
        with suppress(OSError):
            for one in (port, port + 10_000):
                socket.create_server(("127.0.0.1", one)).close()
            found.append(port)
        if len(found) == count:
            break
    return found
