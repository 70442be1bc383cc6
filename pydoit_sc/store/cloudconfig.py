"""How a bucket is reached: from fsspec's options to obstore's configuration, or not by obstore."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydoit_sc import passwords
from pydoit_sc.store import aws
from pydoit_sc.store.base import StoreError
from pydoit_sc.urls import is_endpoint, kind_of

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0  # seconds, for each try
RETRIES = 8

#: fsspec's names of options, and obstore's, by the kind of store: those that obstore serves.
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
#: The same for `client_kwargs`.
_CLIENT_OPTIONS = {"s3": {"endpoint_url": "endpoint", "region_name": "region"}}
#: The option of the endpoint and of the region of S3, and the variables that obstore reads.
_SAID = {
    "endpoint": ("endpoint_url", ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")),
    "region": ("region_name", ("AWS_REGION", "AWS_DEFAULT_REGION")),
}


@dataclass(frozen=True, slots=True)
class Config:
    """How a bucket is reached, in obstore's words."""

    kind: str  # "s3", "gs" or "az"
    bucket: str
    prefix: str
    config: Mapping[str, Any] = field(default_factory=dict)
    #: None: those in `config`, or what obstore finds.
    credentials: Callable[[], Mapping[str, Any]] | None = None
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    retries: int = RETRIES


def read_config(url: str, options: Mapping[str, Any]) -> Config | None:
    """Return how obstore reaches a URL; None where only fsspec's class can: another scheme, an unknown option.

    Raises what botocore raises, for a profile that does not exist or that gives no credentials.

    >>> read_config("gs://bucket/folder", {"anon": True}).config
    {'skip_signature': True}
    """
    kind, rest = kind_of(url), url.partition("://")[2]
    bucket, _, prefix = rest.strip("/").partition("/")
    if kind not in _OPTIONS or not bucket or "@" in bucket:
        return None
    left = dict(options)
    client = dict(left.pop("client_kwargs", None) or {})
    config = {**_take(left, _OPTIONS[kind]), **_take(client, _CLIENT_OPTIONS.get(kind, {}))}
    profile = left.pop("profile", None) if kind == "s3" else None
    times = dict(left.pop("config_kwargs", None) or {})
    connect, read = times.pop("connect_timeout", CONNECT_TIMEOUT), times.pop("read_timeout", READ_TIMEOUT)
    tries = dict(times.pop("retries", None) or {})
    retries = tries.pop("max_attempts", RETRIES)
    retries = tries.pop("total_max_attempts", retries + 1) - 1  # this one counts, as with botocore
    if left or client or times or tries:
        return None
    credentials = None
    if kind == "s3" and (profile or aws.has_configuration()):
        session = aws.open_session(profile)
        if not (config.get("skip_signature") or "access_key_id" in config):
            credentials = aws.Credentials(session)
        config = {**aws.resolve(session), **config}
    if kind == "s3":
        _check(config)
    if "service_account" in config:
        config.update(_google(config.pop("service_account")))
    return Config(kind, bucket, prefix, config, credentials, float(connect), float(read), int(retries))


def said(name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return where the `endpoint` or the `region` of S3 is given, in words, and what is said there."""
    option, variables = _SAID[name]
    places = {f"`{option}` in `storage_options` or of the profile": config.get(name)}
    places.update({f"`{variable}`": os.environ.get(variable) for variable in variables})
    return {where: str(value) for where, value in places.items() if value}


def _check(config: Mapping[str, Any]) -> None:
    """Raise StoreError for an endpoint that has a password or is no URL, or a region that is no name: obstore panics there."""
    for variable in _SAID["endpoint"][1]:
        if os.environ.get(variable) == "":
            raise StoreError(f"`{variable}`: expected a URL, found nothing; unset it")
    for where, value in said("endpoint", config).items():
        if why := passwords.in_url(value):
            raise StoreError(f"{where}: {why}")
        if not is_endpoint(value):
            raise StoreError(f"{where}: expected a URL, http://… or https://…, found another text")
    for where, value in said("region", config).items():
        if not re.fullmatch("[A-Za-z0-9-]+", value):
            raise StoreError(f"{where}: expected the name of a region, such as us-east-1, found another text")


def _google(token: object) -> dict[str, str]:
    """Return what obstore takes as gcsfs' `token`: a file with a key, or what such a file has; raises StoreError."""
    if isinstance(token, Mapping):
        return {"service_account_key": json.dumps(token)}
    if isinstance(token, str) and token.lstrip().startswith("{"):
        return {"service_account_key": token}
    if isinstance(token, str) and os.path.isfile(token):
        return {"service_account": token}
    raise StoreError(
        "`token` in `storage_options`: expected the path of a service account's key, or what that file has as JSON; there is "
        "no such file"
    )


def _take(options: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Remove the options of these names and return them under their new names; an option that is None is left out."""
    taken = {new: options.pop(old) for old, new in names.items() if old in options}
    return {name: value for name, value in taken.items() if value is not None}
