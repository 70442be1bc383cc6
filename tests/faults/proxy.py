"""A proxy before an S3 server that numbers requests and, at one of them or from it on, does what networks do.

Requests are passed on byte for byte, with the Host that the client has signed. Each is known by a label, `PUT
plain/stdout`, in which names that differ from time to time are left out, and by its number among those of its label.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPException, HTTPResponse
from typing import BinaryIO
from urllib.parse import parse_qs, unquote

PATIENCE = 60.0  # seconds that a side may say nothing

_VARYING = (
    (re.compile(r"\b[0-9a-f]{10,22}-\d+(\.\d+)?"), "ATTEMPT"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"(?<=leases/)[0-9a-f]{10,22}\b"), "WORKER"),
    (re.compile(r"(?<=chunks/)[^/]+"), "CHUNK"),
)
_KEPT_OUT = frozenset(("transfer-encoding", "connection", "keep-alive", "content-length"))


class Fault(Enum):
    """What may become of a request."""

    RESET = "connection reset"  # before it has reached the server
    LOST = "lost reply"  # the server has done it, and nobody hears of it
    FORBIDDEN = "403"
    MISSING = "404"
    BROKEN = "500"
    SLOW_DOWN = "503 SlowDown"
    TRUNCATED = "truncated answer"
    BLACK_HOLE = "black hole"  # taken, and never answered

    def __str__(self) -> str:
        return self.value


_ANSWERS = {
    Fault.FORBIDDEN: ("403 Forbidden", "AccessDenied"),
    Fault.MISSING: ("404 Not Found", "NoSuchKey"),
    Fault.BROKEN: ("500 Internal Server Error", "InternalError"),
    Fault.SLOW_DOWN: ("503 Slow Down", "SlowDown"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One request of a worker: the n-th of its label, from 1."""

    label: str
    n: int

    def __str__(self) -> str:
        return f"{self.label} #{self.n}"


@dataclass(frozen=True, slots=True)
class _Request:
    head: bytes
    body: bytes
    label: str

    @property
    def wants_body(self) -> bool:
        return not self.head.startswith(b"HEAD ")


class Proxy:
    """Listens on a port of its own; `arm` says what comes next."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._mutex = threading.Lock()
        self._open: set[socket.socket] = set()
        self._root = ""
        self.arm()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The endpoint for clients."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def arm(
        self,
        point: Point | None = None,
        fault: Fault | Callable[[], None] | None = None,
        *,
        root: str = "",
        lasting: float = 0.0,
    ) -> None:
        """Count anew. At `point` do what `fault` says: a function is called, and then the request is passed on.

        `root` is what labels leave out, `bucket/prefix/`; a `lasting` fault comes at every request for so many seconds.
        """
        with self._mutex:
            self._point, self._fault, self._lasting, self._root = point, fault, lasting, root
            self.seen: list[Point] = []  # every request since
            self.hits = 0
            self._until = 0.0  # by the monotonic clock, when a fault that lasts is over
            self._counts: Counter[str] = Counter()
            stale, self._open = self._open, set()
        for connection in stale:  # of a worker that is gone
            _close(connection)

    def close(self) -> None:
        """End, with every connection."""
        self._listener.close()
        self.arm()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                client.settimeout(PATIENCE)
                with self._mutex:
                    self._open.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, HTTPException), client, client.makefile("rb") as stream:
            while (request := self._read(client, stream)) is not None:
                fault = self._next(request)
                if callable(fault):
                    fault()
                    fault = None
                if fault is None:
                    client.sendall(self._ask(request))
                elif not self._spoil(client, request, fault):
                    return

    def _next(self, request: _Request) -> Fault | Callable[[], None] | None:
        """Count a request, and return what is to become of it."""
        with self._mutex:
            self._counts[request.label] += 1
            here = Point(request.label, self._counts[request.label])
            self.seen.append(here)
            if here == self._point and not self.hits:
                self._until = time.monotonic() + self._lasting
            elif here != self._point and time.monotonic() >= self._until:
                return None
            self.hits += 1
            return self._fault

    def _spoil(self, client: socket.socket, request: _Request, fault: Fault) -> bool:
        """Do what is wrong; return whether the connection goes on."""
        if fault in _ANSWERS:
            status, code = _ANSWERS[fault]
            client.sendall(_error(status, code, with_body=request.wants_body))
            return True
        if fault is Fault.BLACK_HOLE:
            with suppress(OSError):
                client.recv(1)  # until the client gives up
            return False
        if fault is Fault.LOST:
            self._ask(request)
        elif fault is Fault.TRUNCATED:
            answer = self._ask(request)
            head, _, body = answer.partition(b"\r\n\r\n")
            client.sendall(answer[: len(head) + 4 + len(body) // 2] if body else answer[: len(head) // 2])
            return False
        _reset(client)
        return False

    def _read(self, client: socket.socket, stream: BinaryIO) -> _Request | None:
        """Read a request; None at the end of the connection."""
        lines = [stream.readline()]
        if not lines[0]:
            return None
        while lines[-1] not in (b"\r\n", b""):
            lines.append(stream.readline())
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        if b"expect" in fields:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            lines = [line for line in lines if not line.lower().startswith(b"expect:")]
        body = stream.read(int(fields.get(b"content-length", b"0")))
        label = self._label(lines[0].decode(), body, copies=b"x-amz-copy-source" in fields)
        return _Request(b"".join(lines), body, label)

    def _label(self, line: str, body: bytes, *, copies: bool) -> str:
        method, target, _ = line.split(" ", 2)
        path, _, query = target.partition("?")
        words = parse_qs(query, keep_blank_values=True)
        if "list-type" in words:
            method, path = "LIST", path + "/" + words.get("prefix", [""])[0]
        elif "delete" in words:  # of many objects: the first stands for all
            match = re.search(rb"<Key>(.*?)</Key>", body)
            method, path = "DELETE", f"{path}/{match[1].decode() if match else ''}"
        label = unquote(path).lstrip("/").replace("//", "/").removeprefix(self._root)
        for pattern, word in _VARYING:
            label = pattern.sub(word, label)
        return f"{'COPY' if copies else method} {label}"

    def _ask(self, request: _Request) -> bytes:
        """Return the server's answer as it goes to the client."""
        with socket.create_connection(self._server, timeout=PATIENCE) as server:
            server.sendall(request.head + request.body)
            answer = HTTPResponse(server, method=request.head.split(b" ", 1)[0].decode())
            answer.begin()
            body = answer.read()
        fields = [(name, value) for name, value in answer.getheaders() if name.lower() not in _KEPT_OUT]
        size = len(body) if request.wants_body else answer.getheader("Content-Length", "0")
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in fields]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _error(status: str, code: str, *, with_body: bool) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>by the proxy</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + (body if with_body else b"")


def _reset(connection: socket.socket) -> None:
    """End a connection so that the other side sees an error, and not its end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
