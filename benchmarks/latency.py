"""A proxy that passes on what clients send after a delay, as if the server were far away: `latency.py PORT SECONDS`.

It prints the port that it listens on, and ends with its standard input. What the server answers is passed on at once, so
each request takes so many seconds longer, and requests on other connections do not wait for it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque


class Pipe(asyncio.Protocol):
    """One end of a connection; passes on what it receives to the other end."""

    def __init__(self, other: asyncio.Transport | None = None) -> None:
        self.other = other
        self.own: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep this end."""
        assert isinstance(transport, asyncio.Transport)
        self.own = transport

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        assert self.other
        self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Close the other end, too."""
        if self.other:
            self.other.close()


class Late(Pipe):
    """The end of a client: what it sends is passed on later, in the same order."""

    def __init__(self, port: int, delay: float) -> None:
        super().__init__()
        self._port, self._delay = port, delay
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._connected: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the server; the client may send meanwhile."""
        super().connection_made(transport)
        self._connected = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        server, _ = await self._loop.create_connection(lambda: Pipe(self.own), "127.0.0.1", self._port)
        self.other = server

    def data_received(self, data: bytes) -> None:
        """Pass it on later."""
        self._waiting.append(data)
        self._loop.call_later(self._delay, self._pass_on)

    def _pass_on(self) -> None:
        if self.other:
            self.other.write(self._waiting.popleft())
        else:  # the server is not connected yet
            self._loop.call_later(self._delay, self._pass_on)


async def serve(port: int, delay: float) -> None:
    """Pass on until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Late(port, delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
