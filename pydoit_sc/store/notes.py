"""Find and read notes on a file system, where anybody may have put something in their place."""

from __future__ import annotations

import errno
import os

from pydoit_sc.batch import OURS
from pydoit_sc.errors import warn_once
from pydoit_sc.files import open_regular
from pydoit_sc.private import is_ours
from pydoit_sc.store.base import LASTING, StoreError
from pydoit_sc.store.reading import walk
from pydoit_sc.store.ways import check_way

#: The writer of a note that several users may have written: nobody's id.
UNKNOWN = -1

#: What we cannot have written: a link, a pipe, a file that we may not read, one that is too large.
_NO_NOTE = (errno.EINVAL, errno.EACCES, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENOTDIR, errno.EFBIG)


def read_owned(path: str, at_most: int) -> tuple[bytes, int]:
    """Return a note and the id of the user who has written it; raises OSError, FileNotFoundError where there is none.

    Others do not write to a note but replace it, so one that they may write to is nobody's.
    """
    try:
        with open_regular(path, os.O_NOFOLLOW) as file:
            found = os.fstat(file.fileno())
            if found.st_size > at_most:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
            data = file.read()
    except OSError as error:
        if error.errno in _NO_NOTE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        raise
    if is_ours(found, os.path.dirname(path)):
        return data, os.geteuid()
    return data, UNKNOWN if found.st_uid == os.geteuid() else found.st_uid


def names_of_notes(store: str, folder: str) -> list[str]:
    """Return the names of the notes below a folder of ours, sorted; raises OSError.

    What another user has closed, or leads elsewhere, is told, and its notes are left out.
    """
    root = f"{store}/{OURS}/{folder}"
    try:
        check_way(store, f"{OURS}/{folder}/")
        paths = [os.path.join(above, file) for above, _, files in walk(root, closed=_tell) for file in files]
    except StoreError as error:
        warn_once(str(error))
        return []
    except OSError as error:
        if error.errno not in LASTING:
            raise
        _tell(root)
        return []
    return sorted(f"{folder}/{os.path.relpath(path, root)}" for path in paths)


def _tell(path: str) -> None:
    warn_once(f"{path}: cannot be read, and what is noted there is not known")
