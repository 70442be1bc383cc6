"""Copy single files to and from any fsspec URL; no character of a name acts as a pattern."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydoit_sc.files import replacing
from pydoit_sc.passwords import without_values
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.urls import local_path, to_install


@contextmanager
def _filesystem(url: str, options: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Give the file system and the path of a URL; every error becomes a SyncError."""
    import fsspec  # noqa: PLC0415 - only where something is sent or fetched

    if "::" in url:
        raise SyncError(f"{url}: expected one URL, found a chain with `::`")
    try:
        yield fsspec.core.url_to_fs(url, **options)
    except KeyError as error:  # saturnfs: a missing variable
        raise SyncError(f"{url}: {error} is missing") from error
    except FileNotFoundError as error:
        raise SyncError(f"{url}: no such file") from error
    except SyncError:
        raise
    except Exception as error:  # each file system has its own
        said = without_values(str(error), options)
        raise SyncError(f"{url}: {said}{to_install(url, error)}") from None


def is_whole(url: str, size: int, options: Mapping[str, Any]) -> bool:
    """Return whether there is a file at `url`, of as many bytes as it is to have."""
    with _filesystem(url, options) as (fs, path):
        return bool(fs.exists(path) and fs.info(path)["size"] == size)  # saturnfs has no `size`


def put(path: str, url: str, options: Mapping[str, Any]) -> None:
    """Put a local file at `url`; where the place is no object store, such as sftp, a failure may leave a part of it."""
    with _filesystem(url, options) as (fs, remote):
        if local_path(url) is not None:
            os.makedirs(os.path.dirname(remote), exist_ok=True)
            with replacing(remote) as aside:
                shutil.copyfile(path, aside)
        else:
            fs.makedirs(remote.rpartition("/")[0], exist_ok=True)
            fs.put_file(path, remote)


def fetch(url: str, path: str, options: Mapping[str, Any]) -> None:
    """Fetch the file at `url` into a local one, which appears when it is whole."""
    with _filesystem(url, options) as (fs, remote), replacing(path) as aside:
        fs.get_file(remote, aside)
