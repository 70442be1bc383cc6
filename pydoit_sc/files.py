"""Write files whole or not at all. Nothing made here is writable by everybody, whatever the umask is."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FOLDER_MODE = 0o775  # the umask may take more away
_FILE_MODE = 0o664


def not_for_all(path: str, flags: int) -> int:
    """Open a file that is not writable by everybody; an `opener` for `open`."""
    return os.open(path, flags, _FILE_MODE)


def make_folders(path: str) -> None:
    """Make a folder and its missing parents; raises OSError."""
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    except FileNotFoundError:
        above = os.path.dirname(path)
        if above in ("", path):
            raise
        make_folders(above)
        make_folders(path)


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Give the name of a new file beside `path`, which replaces `path` in one step at the end.

    If the body raises, `path` stays as it was and the new file is removed. Raises OSError.

        with replacing("report.txt") as aside:
            shutil.copyfile("draft.txt", aside)
    """
    aside = f"{path}.{secrets.token_hex(4)}.part"
    try:
        yield aside
        os.replace(aside, path)
    finally:
        with suppress(OSError):
            os.unlink(aside)


def write_whole(path: str, data: bytes) -> None:
    """Write a file with all its data, or leave what was there; raises OSError."""
    with replacing(path) as aside, open(aside, "xb", opener=not_for_all) as file:
        file.write(data)
