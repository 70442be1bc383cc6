"""Read a note on a file system, where anybody may have put something in its place."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from pydoit_sc.files import open_regular
from pydoit_sc.private import own_id

#: What we cannot have written: a pipe, a file that we may not read, one that is too large.
_NO_NOTE = (errno.EINVAL, errno.EACCES, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENOTDIR, errno.EFBIG)


def read_owned(path: str, at_most: int) -> tuple[bytes, int]:
    """Return a note and the id of the user who has written it; raises OSError, FileNotFoundError where there is none."""
    try:
        with open_regular(path) as file:
            found = os.fstat(file.fileno())
            if found.st_size > at_most:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
            data, owner = file.read(), found.st_uid
    except OSError as error:
        if error.errno in _NO_NOTE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        raise
    return data, os.geteuid() if _is_ours(owner, os.path.dirname(path)) else owner


def _is_ours(owner: int, folder: str) -> bool:
    if owner == os.geteuid():
        return True
    with suppress(OSError):
        return owner == own_id(folder)
    return False
