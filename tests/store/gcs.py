"""A server of our own that speaks what Google documents of the XML API of Cloud Storage, as far as obstore asks for it.

No emulator that can be installed here speaks it. An object has a generation, a number that every write changes: it is
what conditions compare. ETags are MD5s, but not of what was sent in parts.
"""

from __future__ import annotations

import re
import time
import uuid
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from typing_extensions import Self

_PAGE = 100  # names in one answer to a listing, so that there are several


class _Object(NamedTuple):
    data: bytes
    etag: str
    generation: int
    time: float


class GcsServer(ThreadingHTTPServer):
    """Buckets in memory, on a port of its own."""

    def __init__(self, *buckets: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mutex = RLock()
        self.buckets: dict[str, dict[str, _Object]] = {bucket: {} for bucket in buckets}
        self.parts: dict[str, dict[int, bytes]] = {}  # by upload
        self._generation = 1_700_000_000_000_000

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.server_port}"

    def write(self, bucket: str, name: str, data: bytes, etag: str = "") -> _Object:
        """Write an object, and return it."""
        self._generation += 1
        etag = etag or md5(data, usedforsecurity=False).hexdigest()
        self.buckets[bucket][name] = written = _Object(data, f'"{etag}"', self._generation, time.time())
        return written

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: two would wait for each other
    server: GcsServer

    def _do(self) -> None:
        where = urlsplit(self.path)
        bucket, _, name = unquote(where.path.lstrip("/")).partition("/")
        query = {key: values[0] for key, values in parse_qs(where.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.mutex:
            if bucket not in self.server.buckets:
                self._refuse(404, "NoSuchBucket")
            elif not name:
                self._list(self.server.buckets[bucket], query)
            elif {"uploads", "uploadId"} & query.keys():
                self._in_parts(bucket, name, query, body)
            elif self.command == "PUT":
                self._put(bucket, name, body)
            else:
                self._read(bucket, name)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _do  # noqa: N815

    def _put(self, bucket: str, name: str, body: bytes) -> None:
        there = self.server.buckets[bucket].get(name)
        expected = self.headers.get("x-goog-if-generation-match")
        if expected is not None and int(expected) != (there.generation if there else 0):
            self._refuse(412, "PreconditionFailed")
            return
        if source := self.headers.get("x-goog-copy-source"):
            from_bucket, _, from_name = unquote(source).partition("/")
            copied = self.server.buckets[from_bucket].get(from_name)
            if copied is None:
                self._refuse(404, "NoSuchKey")
                return
            body = copied.data
        written = self.server.write(bucket, name, body)
        self._answer(200, b"<CopyObjectResult/>" if source else b"", written)

    def _read(self, bucket: str, name: str) -> None:
        there = self.server.buckets[bucket].get(name)
        if there is None:
            self._refuse(404, "NoSuchKey")
        elif self.command == "DELETE":
            del self.server.buckets[bucket][name]
            self._answer(204, b"")
        elif match := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2]), len(there.data) - 1)
            self._answer(206, there.data[first : last + 1], there, f"bytes {first}-{last}/{len(there.data)}")
        else:
            self._answer(200, there.data, there)

    def _list(self, objects: dict[str, _Object], query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        names = sorted(name for name in objects if name.startswith(prefix) and name > after)
        said = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(one.data)}</Size><ETag>{escape(one.etag)}</ETag>"
            f"<LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(one.time))}</LastModified></Contents>"
            for name, one in ((name, objects[name]) for name in names[:_PAGE])
        )
        if len(names) > _PAGE:
            said += f"<NextContinuationToken>{escape(names[_PAGE - 1])}</NextContinuationToken>"
        self._answer(200, f"<ListBucketResult>{said}</ListBucketResult>".encode())

    def _in_parts(self, bucket: str, name: str, query: dict[str, str], body: bytes) -> None:
        upload = query.get("uploadId", "")
        if self.command == "POST" and not upload:
            upload = uuid.uuid4().hex
            self.server.parts[upload] = {}
            said = f"<Bucket>{bucket}</Bucket><Key>{quote(name)}</Key><UploadId>{upload}</UploadId>"
            self._answer(
                200, f"<InitiateMultipartUploadResult>{said}</InitiateMultipartUploadResult>".encode()
            )
        elif self.command == "PUT":
            self.server.parts[upload][int(query["partNumber"])] = body
            etag = md5(body, usedforsecurity=False).hexdigest()
            self._answer(200, b"", _Object(body, f'"{etag}"', 1, time.time()))
        elif self.command == "POST":
            parts = self.server.parts.pop(upload)
            data = b"".join(parts[n] for n in sorted(parts))
            written = self.server.write(bucket, name, data, f"{upload}-{len(parts)}")
            said = f"<ETag>{escape(written.etag)}</ETag>"
            self._answer(
                200,
                f"<CompleteMultipartUploadResult>{said}</CompleteMultipartUploadResult>".encode(),
                written,
            )
        else:
            self.server.parts.pop(upload, None)
            self._answer(204, b"")

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode())

    def _answer(self, status: int, body: bytes, one: _Object | None = None, part: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if part:
            self.send_header("Content-Range", part)
        if one is not None:
            self.send_header("ETag", one.etag)
            self.send_header("x-goog-generation", str(one.generation))
            self.send_header("Last-Modified", formatdate(one.time, usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
