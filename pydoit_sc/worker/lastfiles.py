"""See what an attempt has left, and write its last files: by the library in C where there is one, or else by Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pydoit_sc import native
from pydoit_sc.store.layout import RESULTS, STDERR, STDOUT

if TYPE_CHECKING:
    from ctypes import PyDLL

_PLACES = {STDOUT, STDERR, RESULTS}


class LastFiles:
    """Looks and writes by Python."""

    def plain_sizes(self, folder: str) -> dict[str, int] | None:
        """Return the sizes of stdout and stderr where a run has written nothing else; None where it has. Raises OSError."""
        with os.scandir(folder) as found:
            entries = {entry.name: entry for entry in found}
        if entries.keys() != _PLACES:
            return None
        out, err, results = entries[STDOUT], entries[STDERR], entries[RESULTS]
        if not (out.is_file(follow_symlinks=False) and err.is_file(follow_symlinks=False)):
            return None
        if not results.is_dir(follow_symlinks=False) or os.listdir(results.path):
            return None
        return {
            STDOUT: out.stat(follow_symlinks=False).st_size,
            STDERR: err.stat(follow_symlinks=False).st_size,
        }

    def write(self, path: str, data: bytes) -> None:
        """Write a file that is not there yet; raises OSError."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            while data:  # a disk that is nearly full takes a part
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)


class QuickLastFiles(LastFiles):
    """Looks and writes by the library."""

    def __init__(self, quick: PyDLL) -> None:
        import ctypes  # noqa: PLC0415 - only what executes runs needs it

        text = ctypes.c_char_p
        self._sizes = (ctypes.c_longlong * 2)()
        self._plain_sizes, self._write = quick.plain_sizes, quick.write_file
        self._plain_sizes.argtypes = (text, ctypes.POINTER(ctypes.c_longlong))
        self._write.argtypes = (text, text, ctypes.c_size_t)

    def plain_sizes(self, folder: str) -> dict[str, int] | None:
        """Return what a run that has written nothing else has left; see above. What cannot be read is not plain, either."""
        if not self._plain_sizes(os.fsencode(folder), self._sizes):
            return None
        out, err = self._sizes
        return {STDOUT: out, STDERR: err}

    def write(self, path: str, data: bytes) -> None:
        """Write a file; see above."""
        if error := self._write(os.fsencode(path), data, len(data)):
            raise OSError(-error, os.strerror(-error), path)


def make_last_files() -> LastFiles:
    """Return the quickest way that there is here."""
    quick = native.find()
    return QuickLastFiles(quick) if quick else LastFiles()
