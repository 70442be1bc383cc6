"""Extract one of our archives: check its digest first, then each entry by the standard library's data filter."""

from __future__ import annotations

import hashlib
import re
import tarfile
import zlib

from pydoit_sc.sync.errors import SyncError

_NAME = re.compile(r"data-([0-9a-f]{64})\.tar\.gz")
_BLOCK = 1 << 20  # bytes


def archive_name(digest: str) -> str:
    """Return the name of an archive whose bytes have this SHA-256, in hexadecimal digits."""
    return f"data-{digest}.tar.gz"


def digest_in_name(path: str) -> str:
    """Return the digest in the name of an archive, of which `path` is the path or URL; raise SyncError."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if match is None:
        raise SyncError(f"{path}: expected the name of an archive, data-SHA256.tar.gz")
    return match[1]


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits; raise OSError."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def extract(archive: str, destination: str) -> None:
    """Extract an archive into a folder, which is made if need be; raise SyncError.

    Nothing is written if the archive's bytes are not those that its name promises. An entry that would lead out of
    the folder, a device and a pipe are refused; files lose setuid, setgid and sticky bits.
    """
    if not hasattr(tarfile, "data_filter"):
        raise SyncError(
            "this Python cannot extract archives safely: Python 3.10.12, 3.11.4, 3.12 or newer is needed"
        )
    try:
        if digest_of(archive) != digest_in_name(archive):
            raise SyncError(f"{archive}: its content is not what its name says")
        with tarfile.open(archive, "r:gz", encoding="utf-8", errors="surrogateescape") as tar:
            tar.extractall(destination, filter=_checked)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise SyncError(f"{archive}: {error}") from error
    except OSError as error:
        raise SyncError(f"{error.filename or archive}: {error.strerror or error}") from error


def _checked(member: tarfile.TarInfo, destination: str) -> tarfile.TarInfo:
    """Apply the data filter; files get the time of extraction, since an archive's fixed time says nothing."""
    return tarfile.data_filter(member, destination).replace(mtime=None)  # type: ignore[arg-type] # typeshed wants a number
