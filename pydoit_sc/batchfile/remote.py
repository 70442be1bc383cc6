"""Where outputs go: `remote_output_path` as an absolute URL."""

from __future__ import annotations

import os
import re

from pydoit_sc import passwords
from pydoit_sc.batchfile.errors import show
from pydoit_sc.batchfile.names import SEGMENT_BYTES
from pydoit_sc.urls import SCHEMES

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}|\{|(\$))", re.ASCII)
_LONGEST = 4096 - 512  # bytes: PATH_MAX of Linux, less what lies below
_LOCAL = re.compile(r"(?:file|local):(?://)?", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
#: Schemes whose URLs may name no host: `hdfs:///data` is of the default one.
_HOSTLESS = re.compile(r"(?:hdfs|memory|dbfs|webhdfs):///", re.IGNORECASE)
#: What somebody writes who means a URL: a scheme with another number of slashes, or one that is known without its colon.
_NAMED = "|".join(scheme for scheme in SCHEMES if scheme != "local")  # which is a name for a folder
_MEANT = re.compile(rf"\s*(?:([A-Z][A-Z0-9+.-]*):/+|({_NAMED})(?:://?|//:?/?|:))", re.IGNORECASE)


def expanded(text: str) -> str:
    """Return a place that somebody has written: with the values of `$NAME` and `${NAME}`, and with a home for `~`.

    Raises ValueError for a variable that is not set.

    >>> expanded("/a/$$x")
    '/a/$x'
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if match[3]:
            return "$"
        if name is None:
            raise ValueError(f"expected `$NAME` or `${{NAME}}`, found {show(text[match.start() :])}")
        if not os.environ.get(name):
            raise ValueError(f"the environment variable `{name}` is not set, or empty")
        return os.environ[name]

    return os.path.expanduser(_VARIABLE.sub(value, text))


def literal(place: str) -> str:
    """Return what `expanded` makes this place of.

    >>> literal("file:///a/$x")
    'file:///a/$$x'
    """
    return place.replace("$", "$$")


def below(path: str, root: str, folder: str) -> str:
    """Return where a path or URL lies below the URL `root`; a relative one counts from `folder`. Raises ValueError.

    >>> below("/data/out/month/2012-01/", "file:///data/out", "/")
    'month/2012-01'
    """
    if not path.startswith(f"{root}/"):
        path = absolute_url(path, folder)
    if not path.startswith(f"{root}/"):
        raise ValueError(f"expected a path below the batch's, `{root}`, found `{path}`")
    return path[len(root) + 1 :].rstrip("/")


def local_below(path: str, root: str, folder: str) -> str:
    """Return where a local path lies below the URL `root`, "" where it does not; a relative one counts from `folder`.

    >>> local_below("out/a/1", "file:///data/out", "/data"), local_below("out/a/1", "s3://data/out", "/data")
    ('a/1', '')
    """
    full = f"file://{os.path.abspath(os.path.join(folder, path))}"
    return full[len(root) + 1 :] if full.startswith(f"{root}/") else ""


def absolute_url(path: str, folder: str) -> str:
    """Return `path` as a URL without a slash at its end; relative paths count from `folder`.

    Local paths become `file:///…`; URLs of other schemes are left as they are. Raises ValueError.
    """
    if why := passwords.in_url(path):
        raise ValueError(why)
    if "::" in path:
        raise ValueError("expected one URL, found a chain with `::`")
    local, url = _LOCAL.match(path), _URL.match(path)
    if not local and (meant := _url_meant(path)) not in (None, path.rstrip("/")):
        raise ValueError(f"`{path}` is no URL; is `{meant}` meant?")
    if url and not local:
        place = path[url.end() :].rstrip("/")
        if place.startswith("arn:"):
            raise ValueError(
                f"`{path}` has the ARN of an access point for a bucket; write the alias of that access point, "
                "`s3://…-s3alias/…`, which `aws s3control get-access-point` shows"
            )
        if not place:
            raise ValueError(f"`{path}` names no place to write to")
        return url.group() + place
    rest = path[local.end() :] if local else path
    if not rest:
        raise ValueError(f"`{path}` names no place to write to")
    full = "/" + os.path.abspath(os.path.join(folder, os.path.expanduser(rest))).lstrip("/")
    if full == "/":
        raise ValueError("the root of the file system is no place for outputs; name a folder")
    _check_length(full)
    return f"file://{full}"


def _check_length(path: str) -> None:
    """Raise ValueError for a local path that is too long for Linux, with what we put below it."""
    size = len(path.encode(errors="surrogatepass"))
    if size > _LONGEST:
        raise ValueError(f"expected a path of at most {_LONGEST:,} bytes, found {size:,}")
    for name in path.split("/"):
        if (size := len(name.encode(errors="surrogatepass"))) > SEGMENT_BYTES:
            raise ValueError(
                f"`{name[:40]}…` has {size:,} bytes, expected at most {SEGMENT_BYTES} between two `/`"
            )


def _url_meant(path: str) -> str | None:
    """Return the URL that a path looks like, as it is written properly; None for a path.

    >>> _url_meant("s3:/bucket/x"), _url_meant(" s3://bucket//x"), _url_meant("hdfs:///x"), _url_meant("s3/x")
    ('s3://bucket/x', 's3://bucket/x', 'hdfs:///x', None)
    """
    match = _MEANT.match(path)
    parts = [part for part in path[match.end() :].strip().split("/") if part] if match else []
    if match is None or not parts:
        return None
    slashes = "///" if _HOSTLESS.match(path) else "//"
    return f"{(match[1] or match[2]).lower()}:{slashes}{'/'.join(parts)}"
