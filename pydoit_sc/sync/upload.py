"""Stage folders where workers fetch them: read `SRC[:DEST]`, archive SRC, and send it unless it is there."""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.sync import remote
from pydoit_sc.sync.archive import write_archive
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import archive_name
from pydoit_sc.urls import local_path

#: The working directory of a resource whose recipe names none.
WORKING_DIRECTORY = "/home/jovyan/workspace"


@dataclass(frozen=True, slots=True)
class FileSync:
    """A local folder, and the absolute path that it gets on each worker."""

    source: str
    dest: str


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive at a URL, and the absolute path that it is extracted to."""

    url: str
    dest: str
    uploaded: bool = True  # False if it was there already


def parse_sync(text: str, working_directory: str | None = None, folder: str = "") -> FileSync:
    """Read `SRC[:DEST]`; SRC counts from `folder`, DEST (SRC as written, if left out) from the working directory."""
    source, colon, dest = text.partition(":")
    if not source or (colon and not dest) or ":" in dest:
        raise SyncError(f"`{text}`: expected SRC or SRC:DEST, with no other colon")
    if not text.isprintable():
        raise SyncError(f"{text!r}: a path with control characters")
    base = working_directory or WORKING_DIRECTORY
    full = posixpath.normpath(posixpath.join("/", base, dest or source))
    return FileSync(os.path.abspath(os.path.join(folder, source)), "/" + full.lstrip("/"))


def inside(url: str, folder: str) -> Sequence[str]:
    """Return the patterns of a .gitignore that exclude a local URL, and where it leads, from a folder; none if it is elsewhere."""
    path = local_path(url) or "/"
    ways = ((way(path), way(folder)) for way in (os.path.abspath, os.path.realpath))
    below = dict.fromkeys(path[len(top) :] for path, top in ways if path.startswith(f"{top}/"))
    return [re.sub(r"([\\*?\[\]!# ])", r"\\\1", path) for path in below]


def staging_url(base_url: str, dest: str, digest: str) -> str:
    """Return the URL of the archive for `dest`: below it as with `sc`, but named by its content.

    >>> staging_url("s3://bucket/base", "/opt/code", "0a")
    's3://bucket/base/opt/code/data-0a.tar.gz'
    """
    try:
        base = absolute_url(base_url, os.getcwd())
    except ValueError as error:
        raise SyncError(f"the place of the archives: {error}") from error
    folder = "/".join(part for part in (base, dest.strip("/")) if part)
    return f"{folder}/{archive_name(digest)}"


def find(
    sync: FileSync,
    base_url: str,
    patterns: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Archive | None:
    """Return where a folder is staged as it is now, or None if it is not; raise SyncError."""
    with _packed(sync, base_url, patterns) as (path, url):
        there = remote.is_whole(url, os.path.getsize(path), options or {})
        return Archive(url, sync.dest, uploaded=False) if there else None


def stage(
    sync: FileSync,
    base_url: str,
    patterns: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Archive:
    """Archive a folder and put it below `base_url` under a name made from its content, unless it is there already.

    So a job under way keeps the files that it was given. `patterns` are those of a .gitignore; `options` are
    fsspec's. Raises SyncError.
    """
    with _packed(sync, base_url, patterns) as (path, url):
        if remote.is_whole(url, os.path.getsize(path), options or {}):
            return Archive(url, sync.dest, uploaded=False)
        remote.put(path, url, options or {})
        return Archive(url, sync.dest)


@contextmanager
def _packed(sync: FileSync, base_url: str, patterns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give a temporary archive of a folder, and the URL where it is to be staged."""
    with tempfile.TemporaryDirectory(prefix="pydoit-sc-") as folder:
        path = os.path.join(folder, "data.tar.gz")
        digest = write_archive(sync.source, path, patterns)
        yield path, staging_url(base_url, sync.dest, digest)
