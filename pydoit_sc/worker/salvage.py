"""Keep what can be kept of an attempt that is retried, or whose run has spoilt its own output: removed it, put pipes there.

A run may also have put links in the place of its folders: nothing that these lead to is changed or moved.

What is where it should be, and what it should be, is moved to a new folder: stdout, stderr, and the results if they can
be listed. The rest is removed. Of one that is retried only the ends of stdout and stderr are kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress

from pydoit_sc.files import FOLDER_MODE
from pydoit_sc.store import StoreError
from pydoit_sc.store.copying import discard, kept_files
from pydoit_sc.store.layout import RESULTS, STDERR, STDOUT
from pydoit_sc.store.reading import read_end

_SHOWN = 100  # characters of a path in a message: the run may have made it as long as it likes


def reason(error: OSError, folder: str) -> str:
    """Return the text of an error in an attempt's folder, with the path below it."""
    path = str(error.filename or "").removeprefix(folder).strip("/")
    where = f"{path[:_SHOWN]}…" if len(path) > _SHOWN else path or "its folder"
    return f"its output cannot be kept: {where}: {error.strerror}"


def keep(spoilt: str, kept: str) -> None:
    """Make a new folder of an attempt's output; raises OSError where that cannot be written."""
    discard(kept)  # the run may know this name
    os.makedirs(kept, FOLDER_MODE)
    is_there = _is_folder(spoilt)
    with suppress(OSError):
        _open_up(spoilt)
    for name in (STDOUT, STDERR):
        if not (is_there and _move(f"{spoilt}/{name}", f"{kept}/{name}", stat.S_ISREG)):
            open(f"{kept}/{name}", "xb").close()
    if is_there and _is_folder(f"{spoilt}/{RESULTS}"):
        with suppress(OSError):
            for _, entry in kept_files(f"{spoilt}/{RESULTS}", _open_up):
                _open_up(entry.path)
            _move(f"{spoilt}/{RESULTS}", f"{kept}/{RESULTS}", stat.S_ISDIR)
    discard(spoilt)


def keep_ends(tried: str, kept: str, at_most: int) -> None:
    """Make a new folder of the last bytes of an attempt's stdout and stderr, and remove the rest; raises OSError."""
    discard(kept)  # the run may know this name
    os.makedirs(kept, FOLDER_MODE)
    for name in (STDOUT, STDERR):
        with open(f"{kept}/{name}", "xb") as file, suppress(StoreError):  # the run may have closed it
            file.write(read_end(tried, name, at_most)[0])
    discard(tried)


def _is_folder(path: str) -> bool:
    """Return whether a path is that of a folder, not of a link to one."""
    with suppress(OSError):
        return stat.S_ISDIR(os.lstat(path).st_mode)
    return False


def _open_up(path: str) -> None:
    """Let this process list and change a folder, or read a file; raises OSError where it is not ours, or not there."""
    mode = os.lstat(path).st_mode
    wanted = stat.S_IRWXU if stat.S_ISDIR(mode) else stat.S_IRUSR
    if not stat.S_ISLNK(mode) and mode & wanted != wanted:
        os.chmod(path, stat.S_IMODE(mode) | wanted)


def _move(path: str, target: str, kind: Callable[[int], bool]) -> bool:
    """Move something if it is of a kind and can be opened up; return whether it was moved."""
    with suppress(OSError):
        if kind(os.lstat(path).st_mode):
            _open_up(path)
            os.rename(path, target)
            return True
    return False
