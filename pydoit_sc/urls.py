"""URLs of places: their schemes, what is known of each, and which are paths of this machine."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

LOCAL = "local"


class Scheme(NamedTuple):
    """What is known of the URLs of one scheme."""

    #: "s3", "gs" or "az" for the clouds', "flat" for another store without folders, LOCAL for a path.
    kind: str = ""
    extra: str = ""  # of this package, which brings what a store needs
    package: str = ""  # of fsspec's class, where the extra does not bring it: files that are sent need it


_S3, _GS, _AZ = Scheme("s3", "s3"), Scheme("gs", "gs", "gcsfs"), Scheme("az", "az", "adlfs")
SCHEMES = {
    **dict.fromkeys(("s3", "s3a"), _S3),
    **dict.fromkeys(("gs", "gcs"), _GS),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), _AZ),
    **dict.fromkeys(("oss", "oci"), Scheme("flat")),
    "sfs": Scheme(extra="saturn"),
    **dict.fromkeys(("file", "local"), Scheme(LOCAL)),
    **dict.fromkeys(("ftp", "sftp", "http", "https", "hdfs"), Scheme()),
}


def scheme_of(url: str) -> str:
    """Return the scheme of a URL; "" for a path.

    >>> scheme_of("s3://bucket/x"), scheme_of("/data/x")
    ('s3', '')
    """
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def kind_of(url: str) -> str:
    """Return the kind of store that a URL is of; "" where it is not known.

    >>> kind_of("abfss://box/x"), kind_of("/data/x"), kind_of("sftp://host/x")
    ('az', 'local', '')
    """
    scheme = scheme_of(url)
    return SCHEMES.get(scheme, Scheme()).kind if scheme else LOCAL


def local_path(url: str) -> str | None:
    """Return the path on this machine that a URL or a path means; None for a URL of another place.

    >>> local_path("file:///data/x"), local_path("/data/x"), local_path("s3://bucket/x")
    ('/data/x', '/data/x', None)
    """
    if kind_of(url) != LOCAL:
        return None
    return url.partition("://")[2] if scheme_of(url) else url


def is_endpoint(url: str) -> bool:
    """Return whether this is the URL of a server, as obstore takes it: at another one that panics.

    >>> [is_endpoint(url) for url in ("http://h:9000", "https://[::1]:1/x", "http://10.0.0.1")]
    [True, True, True]
    >>> [is_endpoint(url) for url in ("h:9000", "https:///x", "http://h:99999", "http://[::1", "http://<h>", "http://h?x", "http://300.1.1.1")]
    [False, False, False, False, False, False, False]
    """
    from ipaddress import ip_address  # noqa: PLC0415 - only a store with an endpoint needs it

    try:
        parts = urlsplit(url)
        host, is_port = parts.hostname or "", parts.port != 0
        is_address = ":" in host or re.fullmatch(r"[0-9.]+", host)
        if is_address:
            ip_address(host)
    except ValueError:
        return False
    is_host = is_address or re.fullmatch(r"[A-Za-z0-9._-]+", host)
    return bool(is_host and is_port and re.fullmatch(r"https?://[^\s?#]+", url))


def to_install(url: str, error: Exception) -> str:
    """Return what to install, as the end of a message, where an error says that a URL's file system is missing; else "".

    >>> to_install("abfss://box/x", ValueError("Protocol not known: abfss"))
    ": pip install 'pydoit-sc[az]' adlfs"
    """
    _, extra, package = SCHEMES.get(scheme_of(url), Scheme())
    is_missing = isinstance(error, ImportError) or str(error).startswith("Protocol not known")
    return f": pip install 'pydoit-sc[{extra}]' {package}".rstrip() if is_missing and extra else ""
