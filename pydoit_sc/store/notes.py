"""Read a note on a file system, where anybody may have put something in its place."""

from __future__ import annotations

import errno
import os

from pydoit_sc.files import open_regular
from pydoit_sc.private import is_ours

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
