"""S3, Google Cloud Storage and Azure Blob Storage through obstore."""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from pydoit_sc.store.blobs import Blob, ChangedError

AT_ONCE = 32
#: Files up to this size are one request, tried once, which can be told to create only; larger ones go in parts.
ONE_REQUEST = 4 << 20
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0  # seconds, for each try
RETRIES = 8
LONGEST = 120.0  # seconds for a request
RETRY_FOR = 40.0  # seconds; a lease lasts longer, so a worker that was frozen sends no old request again
ONCE = 10.0  # seconds for a request that is tried once
_PIECE = 1 << 20
_DELETE_AT_ONCE = 1000  # S3 takes no more in one request

#: The schemes that are served here, and the name that obstore's own variables give them.
SCHEMES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "adl": "az"}

#: fsspec's names of options, and obstore's.
_OPTIONS = {
    "s3": {
        "key": "access_key_id",
        "secret": "secret_access_key",
        "token": "token",
        "endpoint_url": "endpoint",
        "anon": "skip_signature",
    },
    "gs": {"token": "service_account", "endpoint_url": "base_url", "anon": "skip_signature"},
    "az": {
        "account_name": "account_name",
        "account_key": "account_key",
        "sas_token": "sas_key",
        "tenant_id": "tenant_id",
        "client_id": "client_id",
        "client_secret": "client_secret",
        "endpoint_url": "endpoint",
        "anon": "skip_signature",
    },
}
#: What we read of a profile in the files of the AWS tools, and obstore's names.
_PROFILE = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "token",
    "region": "region",
    "endpoint_url": "endpoint",
}
#: Ways to credentials that only the AWS tools themselves know.
_BEYOND = ("role_arn", "sso_session", "sso_start_url", "credential_process", "credential_source")


@dataclass(frozen=True, slots=True)
class Config:
    """How a bucket is reached, in obstore's words."""

    kind: str  # "s3", "gs" or "az"
    bucket: str
    prefix: str
    config: Mapping[str, Any] = field(default_factory=dict)
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    retries: int = RETRIES


def read_config(url: str, options: Mapping[str, Any], env: Mapping[str, str]) -> Config | None:
    """Return how to reach a URL; None where fsspec's class is needed: another scheme, or an option we do not know."""
    scheme, _, rest = url.partition("://")
    kind = SCHEMES.get(scheme)
    bucket, _, prefix = rest.strip("/").partition("/")
    if kind is None or not bucket or "@" in bucket:
        return None
    left = dict(options)
    config = {name: left.pop(ours) for ours, name in _OPTIONS[kind].items() if ours in left}
    client = dict(left.pop("client_kwargs", None) or {})
    for ours, name in (("endpoint_url", "endpoint"), ("region_name", "region")):
        if kind == "s3" and ours in client:
            config[name] = client.pop(ours)
    times = dict(left.pop("config_kwargs", None) or {})
    connect, read = times.pop("connect_timeout", CONNECT_TIMEOUT), times.pop("read_timeout", READ_TIMEOUT)
    retries = (times.pop("retries", None) or {}).get("max_attempts", RETRIES)
    if kind == "s3":
        profile = _read_profile(left.pop("profile", None), env)
        if profile is None:
            return None
        config = {**profile, **config}
    if left or client or times:
        return None
    config = {name: value for name, value in config.items() if value is not None}
    return Config(kind, bucket, prefix, config, float(connect), float(read), int(retries))


def _read_profile(name: str | None, env: Mapping[str, str]) -> dict[str, str] | None:
    """Return what the files of the AWS tools say where the environment does not; None if that is beyond us."""
    named = name or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")
    files = {
        "AWS_CONFIG_FILE": ("~/.aws/config", f"profile {named}" if named else "default"),
        "AWS_SHARED_CREDENTIALS_FILE": ("~/.aws/credentials", named or "default"),
    }
    found: dict[str, str] = {}
    for variable, (usual, section) in files.items():
        parser = configparser.RawConfigParser()
        with suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read(os.path.expanduser(env.get(variable) or usual), encoding="utf-8")
        if parser.has_section(section):
            found.update(parser.items(section))
    if (
        named is None and "AWS_ACCESS_KEY_ID" in env
    ):  # a profile that nobody named goes behind the environment
        found = {key: value for key, value in found.items() if key == "region"}
    if any(key in found for key in _BEYOND):
        return None
    said = {ours: found[theirs] for theirs, ours in _PROFILE.items() if theirs in found}
    for variable, ours in (
        ("AWS_REGION", "region"),
        ("AWS_DEFAULT_REGION", "region"),
        ("AWS_ENDPOINT_URL", "endpoint"),
    ):
        if env.get(variable):
            said.pop(ours, None)
    return said


class CloudBlobs:
    """Objects below a prefix of a bucket."""

    at_once = AT_ONCE

    def __init__(self, config: Config) -> None:
        from obstore import exceptions, store  # noqa: PLC0415 - an extra

        self._exists, self._changed = exceptions.AlreadyExistsError, exceptions.PreconditionError
        self._unable = exceptions.NotSupportedError
        self._kind = config.kind
        kind = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}[config.kind]

        def connect(timeout: float, retries: int) -> Any:
            return kind(
                config.bucket,
                prefix=config.prefix or None,
                config=dict(config.config),
                client_options={
                    "allow_http": True,  # an endpoint with http:// is what somebody has asked for
                    "connect_timeout": timedelta(seconds=config.connect_timeout),
                    "read_timeout": timedelta(seconds=config.read_timeout),
                    "timeout": timedelta(seconds=timeout),
                },
                retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=RETRY_FOR)},
            )

        self._store = connect(LONGEST, config.retries)
        self._once = connect(min(config.read_timeout, ONCE), 0)

    def list(self, folder: str) -> Iterator[Blob]:
        for part in self._store.list(folder or None, chunk_size=1000):
            for item in part:
                yield _blob(item)

    def get(self, path: str) -> bytes:
        return bytes(self._store.get(path).bytes())

    def read(self, path: str) -> tuple[bytes, Blob]:
        answer = self._store.get(path)
        return bytes(answer.bytes()), _blob(answer.meta)

    def open(self, path: str) -> BinaryIO:
        return io.BufferedReader(_Reader(self._store.get(path).stream(_PIECE)), _PIECE)

    def put(self, path: str, data: bytes) -> str:
        return self._once.put(path, data, use_multipart=False)["e_tag"] or ""

    def create(self, path: str, data: bytes) -> str:
        try:
            return self._once.put(path, data, mode="create")["e_tag"] or ""
        except self._exists as error:
            raise FileExistsError(path) from error
        except self._unable:  # AWS_CONDITIONAL_PUT=disabled, for a server that lacks it
            with suppress(FileNotFoundError):
                self._store.head(path)
                raise FileExistsError(path) from None
            return self.put(path, data)

    def update(self, path: str, data: bytes, etag: str) -> str:
        try:
            return self._once.put(path, data, mode={"e_tag": etag})["e_tag"] or ""
        except (self._changed, FileNotFoundError) as error:
            raise ChangedError(path) from error
        except self._unable:
            if self.read(path)[1].etag != etag:
                raise ChangedError(path) from None
            return self.put(path, data)

    def upload(self, file: str, path: str, *, new: bool) -> None:
        if os.path.getsize(file) > ONE_REQUEST:
            self._store.put(path, Path(file), use_multipart=True)
            return
        with open(file, "rb") as stream:
            data = stream.read()
        if new:
            self.create(path, data)
        else:
            self._once.put(path, data, use_multipart=False)

    def copy(self, source: str, target: str) -> None:
        self._store.copy(source, target)

    def delete(self, paths: Iterable[str]) -> None:
        rest = [*paths]
        while rest:
            part, rest = rest[:_DELETE_AT_ONCE], rest[_DELETE_AT_ONCE:]
            try:
                self._once.delete(part)
            except FileNotFoundError as error:
                if self._kind == "s3":  # says so of no object: of its bucket, or by mistake
                    raise OSError(f"cannot delete {part[0]}: {error}") from error


class _Reader(io.RawIOBase):
    """Makes of pieces of bytes, as they come, a stream as Python has them."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = bytes(next(self._pieces, b""))
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _blob(item: Any) -> Blob:
    return Blob(item["path"], item["size"], item["e_tag"] or "", item["last_modified"].timestamp())
