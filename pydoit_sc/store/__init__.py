"""Where outputs live: layout, scan and publication, one file per kind of store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydoit_sc.store.base import Finished, Live, Outcome, Staged, Store, StoreError
from pydoit_sc.store.layout import Record

__all__ = ["Finished", "Live", "Outcome", "Record", "Staged", "Store", "StoreError", "open_store"]


def open_store(url: str, options: Mapping[str, Any], *, durable: bool = True) -> Store:
    """Return the store below `remote_output_path`: a `file://` URL, an absolute path or any fsspec URL.

    Raises StoreError where the URL's file system is unknown, not installed or refuses its options.
    """
    from pydoit_sc.store.posix import PosixStore  # noqa: PLC0415 (ctypes, only when a store is used)

    scheme, separator, path = url.partition("://")
    if not separator:
        return PosixStore(url, durable=durable)
    if scheme in ("file", "local"):
        return PosixStore(path, durable=durable)
    try:
        from pydoit_sc.store.objects import ObjectStore  # noqa: PLC0415 (fsspec, only for other stores)

        return ObjectStore(url, options)
    except ImportError as error:
        extra = f": pip install 'pydoit-sc[{scheme}]'" if scheme == "s3" else ""
        raise StoreError(f"{url}: {error}{extra}") from error
    except Exception as error:  # fsspec: unknown protocol, wrong options, and whatever its libraries raise
        raise StoreError(f"{url}: {error}") from error
