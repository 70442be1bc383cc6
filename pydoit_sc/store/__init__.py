"""Where outputs are stored: their layout, scan and publication, one file for each kind of store."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydoit_sc import passwords
from pydoit_sc.errors import UserError
from pydoit_sc.store.base import (
    Finished,
    HeldError,
    NoteStore,
    Outcome,
    Outputs,
    Publisher,
    Staged,
    Store,
    StoreError,
    TakenError,
    UnreadableError,
    answers,
    text_of,
)
from pydoit_sc.store.blobs import Blobs
from pydoit_sc.store.layout import Current, Record, stays
from pydoit_sc.store.places import Taken
from pydoit_sc.store.stamps import Live
from pydoit_sc.store.workers import name_worker
from pydoit_sc.urls import local_path, to_install

__all__ = [
    "Current",
    "Finished",
    "HeldError",
    "Live",
    "NoteStore",
    "Outcome",
    "Outputs",
    "Publisher",
    "Record",
    "Staged",
    "Store",
    "StoreError",
    "Taken",
    "TakenError",
    "UnreadableError",
    "name_worker",
    "open_store",
    "read_url",
    "stays",
]


def open_store(url: str, options: Mapping[str, Any], *, durable: bool = True, patience: float = 0.0) -> Store:
    """Return the store below `remote_output_path`: a `file://` URL, an absolute path or any fsspec URL.

    `patience`: seconds for which a worker tries to publish while an object store cannot be reached.

    Raises StoreError where the URL's file system is unknown, not installed or refuses its options, or where a file is in
    the place of the folder.

    >>> open_store("file:///data/output", {}).url
    'file:///data/output'
    """
    from pydoit_sc.store.posix import PosixStore  # noqa: PLC0415 (only when a store is used)

    if (root := local_path(url)) is not None:
        _refuse_file(root)
        return PosixStore(root, durable=durable)
    from pydoit_sc.store.objects import ObjectStore  # noqa: PLC0415 (only for other stores)

    return ObjectStore(url.rstrip("/"), _connect(url.rstrip("/"), options), patience)


def _refuse_file(root: str) -> None:
    """Raise StoreError where there is something else than a folder: what is below it would seem to be missing."""
    with suppress(FileNotFoundError), answers(root, but=(FileNotFoundError,)):
        if not stat.S_ISDIR(os.stat(root).st_mode):
            raise StoreError(f"{root}: is a file, expected a folder for outputs")


def _refuse_passwords(url: str, options: Mapping[str, Any]) -> None:
    """Raise StoreError for a URL with a password: it would be written into chunks, notes and logs."""
    for key, value in {"remote_output_path": url, **options}.items():
        if isinstance(value, Mapping):
            _refuse_passwords("", value)
        elif isinstance(value, str) and (why := passwords.in_url(value)):
            raise StoreError(f"`{key}`: {why}")


def read_url(url: str, options: Mapping[str, Any]) -> bytes:
    """Read one small file in a store by its URL; raises StoreError, also where there is none."""
    if why := passwords.in_url(url):
        raise StoreError(why)
    folder, _, name = url.rpartition("/")
    blobs = _connect(folder, options)
    try:
        with answers(url, Exception, but=(FileNotFoundError,)), blobs.open(name) as file:
            return file.read()
    except FileNotFoundError as error:
        raise StoreError(f"{url}: no such file") from error


def _connect(url: str, options: Mapping[str, Any]) -> Blobs:
    """Return the objects below a URL; raises StoreError, in which no value of an option is shown."""
    _refuse_passwords(url, options)
    try:
        return _open_blobs(url, options)
    except StoreError:
        raise
    except UserError as error:  # ours: it has no secret
        raise StoreError(f"{url}: {error}") from error
    except Exception as error:  # unknown protocol, wrong options, and what else libraries raise
        said = passwords.without_values(text_of(error), options)
        raise StoreError(f"{url}: {said}{to_install(url, error)}") from None


def _open_blobs(url: str, options: Mapping[str, Any]) -> Blobs:
    from pydoit_sc.store.cloud import CloudBlobs  # noqa: PLC0415 (only for other stores)
    from pydoit_sc.store.cloudconfig import read_config  # noqa: PLC0415 (only for other stores)

    config = read_config(url, options)
    if config is not None:
        with suppress(ImportError):  # without obstore, fsspec's class may be there
            return CloudBlobs(config)
    from pydoit_sc.store.anyfs import AnyBlobs  # noqa: PLC0415 (fsspec)

    return AnyBlobs(url, options)
