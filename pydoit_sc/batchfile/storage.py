"""`storage_options`: the options that stores in clouds have, by fsspec's names; those of other stores are not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from pydoit_sc.batchfile.fields import (
    Anything,
    Bool,
    Count,
    Expected,
    Natural,
    Parsed,
    Text,
    expected,
    matching,
    without_password,
)
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.urls import is_endpoint, kind_of


def _endpoint(value: object) -> str:
    if isinstance(value, str) and is_endpoint(without_password(value)):
        return value
    raise expected("a URL, http://… or https://…")


Endpoint = Annotated[str, Parsed(_endpoint, {"type": "string", "pattern": "^https?://"})]
Region = Annotated[str, matching("[A-Za-z0-9-]+", "the name of a region, such as us-east-1")]
Seconds = Annotated[float, Field(gt=0), Expected("a number of seconds above 0")]


class Options(Table):
    """What all classes of fsspec know."""

    use_listings_cache: Bool | None = None
    listings_expiry_time: Seconds | None = None
    max_paths: Count | None = None
    skip_instance_cache: Bool | None = None
    asynchronous: Bool | None = None
    default_block_size: Count | None = None
    default_fill_cache: Bool | None = None
    default_cache_type: Text | None = None
    version_aware: Bool | None = None


class ClientTable(Table):
    """`client_kwargs` of S3: the client of botocore."""

    region_name: Region | None = None
    endpoint_url: Endpoint | None = None
    api_version: Text | None = None
    use_ssl: Bool | None = None
    verify: Any = None  # false, or the path of certificates
    aws_access_key_id: Text | None = None
    aws_secret_access_key: Text | None = None
    aws_session_token: Text | None = None
    aws_account_id: Text | None = None


class RetriesTable(Table):
    """`config_kwargs.retries` of S3."""

    max_attempts: Natural | None = None
    total_max_attempts: Count | None = None
    mode: Text | None = None


class ConfigTable(Table):
    """`config_kwargs` of S3: the configuration of botocore's client."""

    region_name: Region | None = None
    signature_version: Text | None = None
    connect_timeout: Seconds | None = None
    read_timeout: Seconds | None = None
    retries: RetriesTable | None = None
    max_pool_connections: Count | None = None
    s3: Anything | None = None
    proxies: Anything | None = None
    proxies_config: Anything | None = None
    user_agent: Text | None = None
    user_agent_extra: Text | None = None
    user_agent_appid: Text | None = None
    client_cert: Any = None
    parameter_validation: Bool | None = None
    inject_host_prefix: Bool | None = None
    tcp_keepalive: Bool | None = None
    use_dualstack_endpoint: Bool | None = None
    use_fips_endpoint: Bool | None = None
    ignore_configured_endpoint_urls: Bool | None = None
    s3_disable_express_session_auth: Bool | None = None
    defaults_mode: Text | None = None
    request_checksum_calculation: Text | None = None
    response_checksum_validation: Text | None = None


class S3Options(Options):
    """The options of s3fs."""

    key: Text | None = None
    secret: Text | None = None
    token: Text | None = None
    anon: Bool | None = None
    profile: Text | None = None
    endpoint_url: Endpoint | None = None
    client_kwargs: ClientTable | None = None
    config_kwargs: ConfigTable | None = None
    s3_additional_kwargs: Anything | None = None
    requester_pays: Bool | None = None
    use_ssl: Bool | None = None
    username: Text | None = None
    password: Text | None = None
    cache_regions: Bool | None = None
    max_concurrency: Count | None = None
    fixed_upload_size: Bool | None = None
    local_expiry_check: Bool | None = None


class GsOptions(Options):
    """The options of gcsfs, and `anon`."""

    project: Text | None = None
    access: Text | None = None
    token: Any = None  # a path, or the credentials themselves
    anon: Bool | None = None
    endpoint_url: Endpoint | None = None
    block_size: Count | None = None
    consistency: Text | None = None
    cache_timeout: Seconds | None = None
    check_connection: Bool | None = None
    secure_serialize: Bool | None = None
    requests_timeout: Seconds | None = None
    requester_pays: Any = None  # true, or the project that pays
    session_kwargs: Anything | None = None
    timeout: Seconds | None = None
    default_location: Text | None = None


class AzOptions(Options):
    """The options of adlfs, and `endpoint_url`."""

    account_name: Text | None = None
    account_key: Text | None = None
    account_host: Text | None = None
    connection_string: Text | None = None
    credential: Any = None
    sas_token: Text | None = None
    tenant_id: Text | None = None
    client_id: Text | None = None
    client_secret: Text | None = None
    anon: Bool | None = None
    endpoint_url: Endpoint | None = None
    socket_timeout: Seconds | None = None
    connection_timeout: Seconds | None = None
    read_timeout: Seconds | None = None
    blocksize: Count | None = None
    location_mode: Text | None = None
    assume_container_exists: Bool | None = None
    max_concurrency: Count | None = None


_KINDS: Mapping[str, type[Options]] = {"s3": S3Options, "gs": GsOptions, "az": AzOptions}


def options_of(url: str) -> type[Options] | None:
    """Return the model of the options of a URL's store, None where it is not known.

    >>> options_of("s3://bucket/x").__name__, options_of("sftp://host/x")
    ('S3Options', None)
    """
    return _KINDS.get(kind_of(url))
